/**
 * The driver over either protocol: what callers and operators see of it, in the rig's world. Loss, repetition and
 * crashes by chance are the simulator's (test/testing/simulator/schedules.test.ts).
 */

import { coreOf } from '../../../src/replica/driver/draft.js';
import { describe, expect, it } from 'vitest';
import { apply, type MachineSpec } from 'quorate/testing';
import { openEnvelope, sealCore, sealIdentity } from '../../../src/replica/driver/envelope.js';
import { Dice } from '../../../src/testing/random.js';
import { amount } from '../../amount.js';
import { calls, each, models, pass, play } from '../../play.js';
import { BareDriver, driverIn, withDriver } from '../bare-driver.js';

const IDS = ['n1', 'n2', 'n3'];
/** `n1` leads, and all have opened a session. */
const LED = 'elect n1\nrun 500';

const acknowledged = (from: number, to: number): string =>
  each(calls(from, to), (n) => `expect call ${n} acknowledged`);

/** Its results are so long that the session table soon drops them. */
const verbose: MachineSpec = {
  create: () => ({ apply: () => 'x'.repeat(600), snapshot: () => 0, restore: () => undefined }),
};

describe.each(models)('driver over $protocol.name', (model) => {
  const { protocol } = model;

  it('answers a proposal of any member with the result of applying it there', () => {
    play(
      model,
      `run 20000 until leaders one
       run 500
       propose n1 a
       run 2000 until call 1 acknowledged result=1
       expect n1 applied a
       propose n2 b
       run 2000 until call 2 acknowledged result=2
       expect n2 applied a b
       propose n3 c
       run 2000 until call 3 acknowledged result=3
       expect n3 applied a b c`,
    );
  });

  it('serves linearizable reads on every member, after everything acknowledged before', () => {
    const { world } = play(
      model,
      `${LED}
       propose n1 x
       run 2000 until call 1 acknowledged
       ${each(IDS, (id) => `read ${id}`)}
       ${each(IDS, (id) => `run 2000 until call ${IDS.indexOf(id) + 2} served\nexpect ${id} applied x`)}`,
    );
    const [write, ...reads] = world.record.calls.map(({ end }) => (end !== null && 'index' in end ? end.index : 0));
    expect(write).toBeGreaterThan(0);
    expect(reads.map((index) => index >= (write as number))).toEqual([true, true, true]);
  });

  describe('identity', () => {
    it('takes no part at the first start of three before both others have recorded it, and needs nobody later', () => {
      play(
        model,
        `crash n3 lose
         drop n3 *
         run 60000
         expect leaders none
         expect n1 establishing
         expect n2 establishing
         restart n3
         run 5000
         ${each(IDS, (id) => `expect ${id} not establishing`)}
         ${each(IDS, (id) => `crash ${id} lose`)}
         drop all
         restart n1 n2
         run 20000 until leaders one`,
        { header: ['established: no'] },
      );
    });

    it('a replica that lost its disk says so and never takes part under its old name', () => {
      const { trace } = play(
        model,
        `${LED}
         propose n1 kept
         run 2000 until call 1 acknowledged
         wipe n2
         run 5000 until n2 lostIdentity
         propose n2 never
         expect call 2 failed none ERR_LOST_IDENTITY
         # One more lost, and nothing is decided any more, whatever the wiped one could vote.
         crash n1 lose
         run 60000
         expect leaders none`,
      );
      expect(trace).toMatch(/n2 has lost its identity: n[13] knows it by other data/);
    });

    it('a member that was given another configuration is not recorded', () => {
      const { world } = play(model, 'wait', { header: ['established: no'] });
      const bare = new BareDriver(protocol, driverIn(world, 'n1'), 0);
      bare.step({
        kind: 'message',
        from: 'n3',
        bytes: sealIdentity({ kind: 'note', round: 1, configurationHash: 'another' }, { from: 77, to: 0 }),
      });
      expect(bare.events).toEqual([{ kind: 'configurationMismatch', peer: 'n3' }]);
      expect(bare.wants('write')).toEqual([]);
      const [refusal] = bare.wants('send').map(({ to, bytes }) => ({ to, ...openEnvelope(bytes) }));
      expect(refusal).toMatchObject({ to: 'n3', message: { kind: 'refused', reason: 'configuration' } });
      // And whoever hears that from one of the two others waits for ever.
      const { options } = bare.state;
      bare.step({
        kind: 'message',
        from: 'n3',
        bytes: sealIdentity(
          { kind: 'refused', round: 1, reason: 'configuration' },
          { from: 77, to: options.incarnation },
        ),
      });
      bare.step({
        kind: 'message',
        from: 'n2',
        bytes: sealIdentity({ kind: 'confirmed', round: 1 }, { from: 78, to: options.incarnation }),
      });
      expect(bare.wants('write')).toEqual([]);
      const { phase, firstStart } = bare.driver.status(bare.state);
      expect(phase).toBe('establishing');
      const refused = [{ peer: 'n3', reason: 'it was given other members or constants' }];
      expect(firstStart).toEqual({ needed: 2, confirmed: ['n2'], noted: [], missing: [], refused });
      expect(bare.events).toHaveLength(2);
    });

    it('drops what another incarnation says in the name of a member', () => {
      const { world } = play(model, `${LED}\npropose n2 x\nexpect message n2 n1 Forward`);
      const flight = world.links[1 * IDS.length]?.flights[0];
      const opened = openEnvelope(flight?.payload as Uint8Array);
      if (opened.kind !== 'core') throw new Error('no message of the core');
      const message = protocol.codec.read(opened.reader);
      const bare = new BareDriver(protocol, driverIn(world, 'n1'), world.now);
      const before = coreOf(bare.state.phase);
      const hear = (from: number): void => {
        const bytes = sealCore(protocol.codec, message, { ...opened.address, from });
        bare.step({ kind: 'message', from: 'n2', bytes });
      };
      hear(opened.address.from + 1);
      expect(bare.events).toMatchObject([{ kind: 'dropped', peer: 'n2' }]);
      expect(coreOf(bare.state.phase)).toBe(before);
      hear(opened.address.from);
      expect(coreOf(bare.state.phase)).not.toBe(before);
    });

    it('a cluster of one needs nobody', () => {
      const header = ['replicas: 1', 'established: no'];
      play(model, 'run 5000 until leaders n1\npropose n1 x\nrun 1000 until call 1 acknowledged', { header });
    });
  });

  it('fails what never left with none, and what was sent with unknown, when its time is over', () => {
    play(
      model,
      `${LED}
       crash n2 lose
       crash n3 lose
       propose n1 sent timeout=200
       run 250
       expect call 1 failed unknown ERR_OUTCOME_UNKNOWN
       run 10000
       expect leaders none
       propose n1 never timeout=200
       run 250
       expect call 2 failed none ERR_NO_LEADER`,
    );
  });

  it('refuses what is more than may wait, and nothing is lost of the rest', () => {
    play(
      model,
      `${each(['a', 'b', 'c'], (word) => `propose n1 ${word}`)}
       expect call 3 failed none ERR_BUSY
       run 20000 until call 2 acknowledged
       expect call 1 acknowledged
       expect n1 applied a b`,
      { header: ['maxWaiting: 2', 'established: no'] },
    );
  });

  it('opens a new session when the table dropped its own, and no command takes effect twice', () => {
    const rounds = calls(0, amount(14, 39));
    const { world } = play(
      model,
      `run 20000 until leaders one
       ${each(rounds, (round) => {
         const burst = each(calls(1, 20), (at) => `propose n1 ${20 * round + at}`);
         return `${burst}\nrun 20000 until call ${20 * round + 1} acknowledged`;
       })}
       run 20000
       ${acknowledged(1, 20 * rounds.length)}`,
      { header: ['constants: sessionBytes=1024'], machine: verbose },
    );
    const { effects } = world.record;
    const sessions = new Set(effects.items.slice(0, effects.length).map(({ entry }) => entry.id?.session));
    expect(effects.length).toBe(20 * rounds.length);
    expect(sessions.size).toBeGreaterThan(1);
  });

  it('a failed storage halts the replica and ends every request', () => {
    const { trace } = play(
      model,
      `${LED}
       propose n1 x
       fail-storage n1 lose
       expect call 1 failed unknown ERR_STORAGE_FAILED
       expect n1 halted
       drop all
       propose n1 y
       expect call 2 failed none
       expect no message n1 n2
       expect no message n1 n3`,
    );
    expect(trace).toContain('n1 no longer leads');
  });

  it('what a peer sends cannot stop it', () => {
    const { world } = play(model, LED);
    const bare = new BareDriver(protocol, driverIn(world, 'n1'), world.now);
    const dice = new Dice(5);
    for (let i = 0; i < 2000; i++) {
      const bytes = Uint8Array.from({ length: dice.between(0, 40) }, (_, at) => dice.between(0, at === 1 ? 4 : 255));
      if (bytes.length > 0) bytes[0] = 1;
      bare.step({ kind: 'message', from: dice.pick(['n1', ...IDS, 'stranger']), bytes });
    }
    expect(bare.driver.status(bare.state).phase).toBe('running');
    expect(bare.events.some(({ kind }) => kind === 'dropped')).toBe(true);
    const after = apply(withDriver(world, 'n1', bare.state), {
      kind: 'propose',
      at: world.now,
      replica: 'n1',
      command: 'still here',
      timeout: 2000,
    });
    expect(pass(after, 1000).record.calls[0]?.end?.kind).toBe('acknowledged');
  });
});
