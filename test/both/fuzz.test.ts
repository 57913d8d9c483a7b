/**
 * Peers cannot crash us (law/peers-cannot-crash-us). Bytes that no replica wrote are refused as `Malformed` and nothing else, or are read
 * as something that writes back to the same bytes; and whatever can be read may be stepped, from any peer, in any
 * state, and throws nothing but the proofs of broken safety.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../src/core/assert.js';
import { Malformed, Reader } from '../../src/core/bytes.js';
import { simulate } from 'quorate/testing';
import { encode } from '../laws.js';
import { models } from '../play.js';
import { smallLimits } from '../values.js';

/** So many messages of a kind, and every so manieth state, are enough to start from. */
const MESSAGES = 100;
const STATES = 100;

describe.each(models)('$protocol.name', (model) => {
  const { protocol } = model;
  /** Messages of every kind that some schedules sent, and states that they met. */
  const messages = new Map<string, Uint8Array>();
  const states: unknown[] = [];
  const kinds = new Map<string, number>();
  const keep = (message: unknown): void => {
    const { kind } = message as { readonly kind: string };
    const count = (kinds.get(kind) ?? 0) + 1;
    kinds.set(kind, count);
    if (count > MESSAGES) return;
    const bytes = encode(protocol, message);
    messages.set(Buffer.from(bytes).toString('hex'), bytes);
  };
  let steps = 0;
  simulate({
    model,
    program: 'core',
    replicas: 3,
    schedules: 12,
    length: 250,
    tuning: { limits: smallLimits },
    observer(fact) {
      if (fact.kind === 'send') keep(fact.message);
      if (fact.kind === 'step' && ++steps % STATES === 0) states.push(fact.fact.after);
    },
  });
  const samples = [...messages.values()].filter((bytes) => bytes.length < 2000);

  /** A sample with a byte set, inserted, or everything from there on cut off, some times over. */
  const way = fc.constantFrom('set', 'insert', 'cut', 'splice');
  const damage = fc.array(fc.tuple(way, fc.nat(), fc.nat(255), fc.nat()), { minLength: 1, maxLength: 3 });
  const damaged = fc.tuple(fc.nat(), damage).map(([pick, how]) => {
    let bytes = [...(samples[pick % samples.length] as Uint8Array)];
    for (const [kind, at, value, other] of how) {
      const place = at % (bytes.length + 1);
      if (kind === 'set' && place < bytes.length) bytes[place] = value;
      else if (kind === 'insert') bytes.splice(place, 0, value);
      else if (kind === 'cut') bytes = bytes.slice(0, place);
      else if (kind === 'splice') {
        const tail = (samples[other % samples.length] as Uint8Array).slice(place);
        bytes = [...bytes.slice(0, place), ...tail];
      }
    }
    return Uint8Array.from(bytes);
  });

  function readOrRefuse(input: Uint8Array): unknown {
    try {
      const message = protocol.codec.read(new Reader(input));
      expect(Buffer.from(encode(protocol, message))).toEqual(Buffer.from(input));
      return message;
    } catch (error) {
      expect(error).toBeInstanceOf(Malformed);
      return null;
    }
  }

  it('has something to start from', () => expect(samples.length).toBeGreaterThan(100));

  it('reads nothing but what can be written', () => {
    const input = fc.oneof({ weight: 4, arbitrary: damaged }, fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(input, (bytes) => void readOrRefuse(bytes)),
      { numRuns: 4000 },
    );
  });

  it('every cut of every kind of message is refused', () => {
    for (const bytes of samples.slice(0, 150)) {
      for (let end = 0; end < bytes.length; end++) {
        expect(() => protocol.codec.read(new Reader(bytes.subarray(0, end)))).toThrow(Malformed);
      }
    }
  });

  it('a length that the input does not back allocates nothing: huge counts fail fast', () => {
    const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    for (const bytes of samples.slice(0, 100)) {
      for (let at = 1; at < Math.min(bytes.length, 24); at++) {
        readOrRefuse(Uint8Array.of(...bytes.subarray(0, at), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f));
      }
    }
    const after = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    expect(after - before).toBeLessThan(200 * 1024 * 1024);
  });

  it('whatever can be read may arrive in any state', () => {
    let stepped = 0;
    let proofs = 0;
    fc.assert(
      fc.property(damaged, fc.nat(), fc.constantFrom('n1', 'n2', 'n3', 'stranger'), (input, pick, from) => {
        const message = readOrRefuse(input);
        if (message === null) return;
        const state = states[pick % states.length];
        if (protocol.status(state).id === from) return;
        stepped++;
        try {
          const [next] = protocol.step(state, { kind: 'receive', now: 1e6, from, message });
          protocol.deadline(next);
          protocol.status(next);
        } catch (error) {
          expect(error).toBeInstanceOf(InvariantViolation);
          proofs++;
        }
      }),
      { numRuns: 6000 },
    );
    expect(stepped).toBeGreaterThan(500);
    // Two leaders in one term, a conflict below the commit index: rare, or the check accuses the innocent.
    expect(proofs).toBeLessThan(stepped / 10);
  });
});
