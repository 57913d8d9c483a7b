/** Strangers at the door of the TCP transport: members come through a crowd. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { encodeHello } from '../../src/adapters/tcp-transport/handshake.js';
import { tcpTransport } from '../../src/adapters/tcp-transport/index.js';
import {
  MOST_FOREIGN,
  MOST_PER_ADDRESS,
  MOST_STRANGERS,
  plainAddress,
  Strangers,
  type Stranger,
} from '../../src/adapters/tcp-transport/strangers.js';
import { Dialled, helloOf, portOf } from './tcp-sockets.js';
import { freeAddresses, Members } from './transport-laws.js';

const HOUR = 3_600_000;

class Visitor implements Stranger {
  readonly from: string;
  why: string | null = null;

  constructor(from: string) {
    this.from = from;
  }

  giveWay(reason: string): void {
    this.why = reason;
  }
}

describe('strangers', () => {
  const isMember = (address: string): boolean => address.startsWith('10.');

  function crowd(strangers: Strangers<Visitor>, count: number, addressOf: (at: number) => string): Visitor[] {
    return Array.from({ length: count }, (_, at) => {
      const visitor = new Visitor(addressOf(at));
      strangers.admit(visitor);
      return visitor;
    });
  }

  const remaining = (all: readonly Visitor[]): number => all.filter(({ why }) => why === null).length;

  test('of one address are bounded, the oldest go (transport/room-for-members)', () => {
    const strangers = new Strangers<Visitor>(isMember);
    const other = crowd(strangers, 1, () => '192.0.2.7');
    const all = crowd(strangers, 100, () => '192.0.2.1');
    expect(all.map(({ why }) => why === null)).toEqual(all.map((_, at) => at >= 100 - MOST_PER_ADDRESS));
    expect(all[0]?.why).toBe(`more than ${MOST_PER_ADDRESS} connections from one address are in their handshake`);
    expect(remaining(other)).toBe(1);
  });

  test('of no member leave room for members (transport/room-for-members)', () => {
    const strangers = new Strangers<Visitor>(isMember);
    const members = crowd(strangers, 16, (at) => `10.0.0.${at}`);
    const all = crowd(strangers, 1000, (at) => `192.0.${at >> 8}.${at & 255}`);
    expect([remaining(members), remaining(all), strangers.size]).toEqual([16, MOST_FOREIGN, MOST_STRANGERS]);
    const more = crowd(strangers, 10, (at) => `10.0.1.${at}`);
    expect([remaining(members), remaining(more), remaining(all)]).toEqual([16, 10, MOST_FOREIGN - 10]);
  });

  test('leave room when they have finished', () => {
    const strangers = new Strangers<Visitor>(isMember);
    for (const visitor of crowd(strangers, 10, () => '192.0.2.1')) strangers.remove(visitor);
    expect(strangers.size).toBe(0);
    expect(remaining(crowd(strangers, MOST_PER_ADDRESS, () => '192.0.2.1'))).toBe(MOST_PER_ADDRESS);
  });

  test('whoever they are, are bounded, and the newest stays, unless members take all the room', () => {
    const address = fc.integer({ min: 0, max: 99 }).map((at) => (at < 30 ? `10.0.0.${at % 5}` : `192.0.2.${at % 60}`));
    fc.assert(
      fc.property(fc.array(address, { minLength: 60, maxLength: 300 }), (from) => {
        const strangers = new Strangers<Visitor>(isMember);
        const all: Visitor[] = [];
        for (const each of from) {
          const visitor = new Visitor(each);
          all.push(visitor);
          strangers.admit(visitor);
          const here = all.filter(({ why }) => why === null);
          const foreign = here.filter((it) => !isMember(it.from));
          const same = here.filter((it) => it.from === each);
          const isCrowdedOut = !isMember(each) && foreign.length === 0 && here.length === MOST_STRANGERS;
          expect(visitor.why === null || isCrowdedOut).toBe(true);
          expect(here.length).toBe(strangers.size);
          expect(here.length).toBeLessThanOrEqual(MOST_STRANGERS);
          expect(foreign.length).toBeLessThanOrEqual(MOST_FOREIGN);
          expect(same.length).toBeLessThanOrEqual(MOST_PER_ADDRESS);
        }
      }),
    );
  });

  test('are compared by their address, IPv4 as such', () => {
    expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(plainAddress('::1')).toBe('::1');
    expect(plainAddress(undefined)).toBe('');
  });
});

describe('idle connections', () => {
  let addresses: Map<string, string>;
  let members: Members;
  let idle: Dialled[] = [];

  beforeEach(async () => {
    addresses = await freeAddresses(['a', 'b', 'c']);
    members = new Members(() => tcpTransport({ handshakeTimeout: HOUR, stallTimeout: HOUR }), addresses);
  });

  afterEach(async () => {
    await members.stop();
    for (const { socket } of idle.splice(0)) socket.destroy();
  });

  /** Opens so many to a member, and waits until all are, or were closed. */
  async function crowdAt(id: string, count: number): Promise<Dialled[]> {
    const all = Array.from({ length: count }, () => new Dialled(addresses.get(id) as string));
    idle.push(...all);
    await Promise.all(
      all.map(({ socket, closed }) =>
        Promise.race([closed, new Promise((resolve) => socket.once('connect', () => resolve(undefined)))]),
      ),
    );
    return all;
  }

  test.each([true, false])(
    'keep no restarted majority apart, however long they stay; from before its start: %s (transport/room-for-members)',
    async (isEarly) => {
      const a = await members.start('a', { silent: isEarly });
      await crowdAt('a', 200);
      if (isEarly) a.transport.answer();
      await a.told.event('refused', /gave way, since more than 16 connections from one address/);
      // Those that remain stay for an hour, and more come.
      const b = await members.start('b', { silent: isEarly });
      await crowdAt('b', 100);
      if (isEarly) b.transport.answer();
      await b.told.until(() => b.told.count('connected', 'a') > 0);
      await a.told.until(() => a.told.count('connected', 'b') > 0);
      await crowdAt('a', 100);
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        expect(from.transport.send(to.self.id, Uint8Array.of(1), 'bulk')).toBe(true);
        await to.told.until(() => to.told.messages.length === 1);
      }
    },
  );

  test('give way in their turn: a newer one is answered', async () => {
    await members.start('a');
    const first = await crowdAt('a', MOST_PER_ADDRESS);
    const [next] = (await crowdAt('a', 1)) as [Dialled];
    await first[0]?.closed;
    expect(await next.ask(encodeHello(helloOf()))).toMatchObject({ kind: 'welcome' });
    expect(await first[1]?.ask(encodeHello(helloOf({ lane: 'bulk' })))).toMatchObject({ kind: 'welcome' });
    expect(portOf(addresses.get('a') as string)).toBe(next.socket.remotePort);
  });
});
