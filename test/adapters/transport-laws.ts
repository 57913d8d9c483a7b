/**
 * The laws that every transport obeys, whatever it is made of (the duties in src/replica/transport.ts), and
 * the members to check them with. Nothing waits for time: a wait ends when what it waits for has happened.
 */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  Transport,
  TransportEvent,
  TransportHandler,
  TransportLane,
  TransportPeer,
} from '../../src/replica/transport.js';

export { freeAddresses } from './free-addresses.js';

/** Far above what anything takes, for a test that fails. */
const TOO_LONG = 20_000;

/** Keeps what a transport tells, and wakes who waits for it. */
export class Recorder implements TransportHandler {
  readonly messages: { from: string; bytes: Uint8Array }[] = [];
  /** Each as `peer lane`. */
  readonly disconnected: string[] = [];
  readonly unreachable: string[] = [];
  readonly refused: { peer: string; why: 'incarnation' | 'other' }[] = [];
  readonly events: TransportEvent[] = [];
  /** How many calls there were. */
  calls = 0;
  /** Called when a peer is unreachable. */
  onLost: (peer: string) => void = () => {};
  /** Called with every message first. */
  onEach: (from: string, bytes: Uint8Array) => void = () => {};
  private readonly waiting = new Set<() => void>();

  onMessage(from: string, bytes: Uint8Array): void {
    this.messages.push({ from, bytes });
    this.happened();
    this.onEach(from, bytes);
  }

  onDisconnected(peer: string, lane: TransportLane): void {
    this.disconnected.push(`${peer} ${lane}`);
    this.happened();
  }

  onUnreachable(peer: string): void {
    this.unreachable.push(peer);
    this.onLost(peer);
    this.happened();
  }

  onRefused(peer: string, why: 'incarnation' | 'other'): void {
    this.refused.push({ peer, why });
    this.happened();
  }

  onEvent(event: TransportEvent): void {
    this.events.push(event);
    this.happened();
  }

  private happened(): void {
    this.calls++;
    for (const check of [...this.waiting]) check();
  }

  /** Resolves as soon as it holds. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const told = (): string => JSON.stringify({ events: this.events, messages: this.messages.length });
      const timer = setTimeout(() => reject(new Error(`never: ${holds}, after ${told()}`)), TOO_LONG);
      const check = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
    });
  }

  count(kind: TransportEvent['kind'], peer: string | null): number {
    return this.events.filter((event) => event.kind === kind && event.peer === peer).length;
  }

  async event(kind: TransportEvent['kind'], pattern: RegExp): Promise<TransportEvent> {
    const find = (): TransportEvent | undefined =>
      this.events.find((event) => event.kind === kind && pattern.test(event.reason));
    await this.until(() => find() !== undefined);
    return find() as TransportEvent;
  }
}

export interface Member {
  readonly transport: Transport;
  readonly told: Recorder;
  readonly self: TransportPeer;
}

/** What differs from an ordinary member. */
export interface Differently {
  readonly cluster?: string;
  readonly peers?: readonly string[];
  readonly transport?: Transport;
  /** Its own incarnation, 1 by default, and those that it expects of others, by id. */
  readonly incarnation?: number;
  readonly expects?: Readonly<Record<string, number>>;
  /** Whether it stops short of answering. */
  readonly silent?: boolean;
}

/** Members of one network, each at its own address. */
export class Members {
  readonly make: () => Transport;
  private readonly addresses: ReadonlyMap<string, string>;
  private readonly started: Transport[] = [];

  constructor(make: () => Transport, addresses: ReadonlyMap<string, string>) {
    this.make = make;
    this.addresses = addresses;
  }

  /** @param incarnation that it must have; none for any */
  peer(id: string, incarnation?: number): TransportPeer {
    const peer = { id, address: this.addresses.get(id) as string };
    return incarnation === undefined ? peer : { ...peer, incarnation };
  }

  /** Starts the transport of one member, by default with all others as its peers. */
  async start(id: string, different: Differently = {}): Promise<Member> {
    const transport = different.transport ?? this.make();
    this.started.push(transport);
    const self = this.peer(id);
    const told = new Recorder();
    const others = [...this.addresses.keys()].filter((other) => other !== id);
    const peers = (different.peers ?? others).map((other) => this.peer(other, different.expects?.[other]));
    const { cluster = 'laws', incarnation = 1 } = different;
    await transport.start({ cluster, id, incarnation }, self, peers, told);
    if (different.silent !== true) transport.answer();
    return { transport, told, self };
  }

  /** All of them, each connected with each. */
  async startAll(...ids: string[]): Promise<Member[]> {
    const members = await Promise.all(ids.map((id) => this.start(id)));
    for (const { told, self } of members) {
      for (const id of ids) if (id !== self.id) await told.until(() => told.count('connected', id) > 0);
    }
    return members;
  }

  async stop(): Promise<void> {
    await Promise.all(this.started.map((transport) => transport.stop()));
  }
}

function bytesOf(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = at * 31 + seed;
  return bytes;
}

const lanes: readonly TransportLane[] = ['control', 'bulk'];

/** Sends in this very turn until the transport has enough; how many it took. */
export function fill(from: Member, to: string, lane: TransportLane, bytes: Uint8Array, most = 1e6): number {
  let taken = 0;
  while (taken < most && from.transport.send(to, bytes, lane)) taken++;
  return taken;
}

/** @param setup makes members a, b and c, none of them started */
export function transportLaws(setup: () => Promise<Members>): void {
  let members: Members;
  beforeEach(async () => {
    members = await setup();
  });
  afterEach(() => members.stop());

  describe('messages', () => {
    test.each(lanes)('go both ways on the %s lane, and say who sent them', async (lane) => {
      const [a, b, c] = (await members.startAll('a', 'b', 'c')) as [Member, Member, Member];
      expect(a.transport.send('b', bytesOf(3), lane)).toBe(true);
      expect(b.transport.send('a', bytesOf(4), lane)).toBe(true);
      expect(c.transport.send('a', bytesOf(5), lane)).toBe(true);
      await b.told.until(() => b.told.messages.length === 1);
      await a.told.until(() => a.told.messages.length === 2);
      expect(b.told.messages).toEqual([{ from: 'a', bytes: bytesOf(3) }]);
      const bySender = a.told.messages.sort((x, y) => (x.from < y.from ? -1 : 1));
      expect(bySender).toEqual([
        { from: 'b', bytes: bytesOf(4) },
        { from: 'c', bytes: bytesOf(5) },
      ]);
      expect(c.told.messages).toEqual([]);
    });

    test('arrive as they were sent', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      const long = fc.nat(200_000).map((length) => bytesOf(length));
      const message = fc.oneof(fc.uint8Array({ maxLength: 300 }), long);
      const batch = fc.array(fc.tuple(message, fc.constantFrom(...lanes)), { minLength: 1, maxLength: 20 });
      const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
      await fc.assert(
        fc.asyncProperty(batch, async (sent) => {
          b.told.messages.length = 0;
          for (const [bytes, lane] of sent) expect(a.transport.send('b', bytes.slice(), lane)).toBe(true);
          await b.told.until(() => b.told.messages.length >= sent.length);
          const received = b.told.messages.map(({ bytes }) => text(bytes)).sort();
          expect(received).toEqual(sent.map(([bytes]) => text(bytes)).sort());
        }),
        { numRuns: 40 },
      );
    });

    test('of no byte, of one, of all values, in a pooled Buffer, of the limit; none above', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      const pooled = Buffer.from('before|inside|after');
      const largest = bytesOf(a.transport.maxMessageBytes);
      const sent = [new Uint8Array(0), Uint8Array.of(7), bytesOf(256), pooled.subarray(7, 13), largest];
      for (const bytes of sent) {
        b.told.messages.length = 0;
        expect(a.transport.send('b', bytes, 'bulk')).toBe(true);
        await b.told.until(() => b.told.messages.length === 1);
        const received = b.told.messages[0]?.bytes as Uint8Array;
        expect(Buffer.compare(received, bytes)).toBe(0);
        // `slice` of a Buffer shares memory, which a receiver of a Uint8Array does not expect.
        expect(Buffer.isBuffer(received)).toBe(false);
      }
      expect(a.transport.send('b', new Uint8Array(largest.length + 1), 'bulk')).toBe(false);
      expect(a.transport.send('b', new Uint8Array(largest.length + 1), 'control')).toBe(false);
    });

    test('belong to who received them', async () => {
      const [a, b, c] = (await members.startAll('a', 'b', 'c')) as [Member, Member, Member];
      const shared = bytesOf(100);
      for (const to of ['b', 'c', 'b']) a.transport.send(to, shared, 'control');
      await b.told.until(() => b.told.messages.length === 2);
      await c.told.until(() => c.told.messages.length === 1);
      b.told.messages[0]?.bytes.fill(0);
      expect(b.told.messages[1]?.bytes).toEqual(bytesOf(100));
      expect(c.told.messages[0]?.bytes).toEqual(bytesOf(100));
    });

    test('by the ten thousand all arrive, if they were taken', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      let taken = 0;
      for (let i = 0; i < 10_000; i++) if (a.transport.send('b', bytesOf(20, i), 'control')) taken++;
      expect(taken).toBeGreaterThan(1000);
      await b.told.until(() => b.told.messages.length === taken);
      expect(b.told.messages.every(({ bytes }) => bytes.length === 20)).toBe(true);
    });
  });

  describe('limits', () => {
    test.each([0, 1000, 100_000])(
      'of what waits delay nobody: messages of %i bytes (transport/bounded-queue)',
      async (size) => {
        const [a, b, c] = (await members.startAll('a', 'b', 'c')) as [Member, Member, Member];
        // All in one turn, in which nothing can leave.
        const taken = fill(a, 'b', 'bulk', new Uint8Array(size));
        expect(taken).toBeGreaterThan(0);
        expect(taken * (size + 64)).toBeLessThan(64 * 1024 * 1024);
        expect(a.transport.send('c', bytesOf(9), 'bulk')).toBe(true);
        await c.told.until(() => c.told.messages.length === 1);
        await b.told.until(() => b.told.messages.length === taken);
        // What has left makes room again.
        expect(fill(a, 'b', 'bulk', new Uint8Array(size), taken)).toBe(taken);
      },
    );
  });

  describe('peers', () => {
    test('that are unknown or dead get nothing', async () => {
      const a = await members.start('a', { peers: ['a', 'b'] });
      expect(a.transport.send('nobody', bytesOf(1), 'control')).toBe(false);
      expect(a.transport.send('a', bytesOf(1), 'control')).toBe(false);
      for (const lane of lanes) expect(a.transport.send('b', bytesOf(1), lane)).toBe(false);
      const b = await members.start('b', { peers: ['a', 'b'] });
      await a.told.until(() => a.told.count('connected', 'b') > 0);
      await b.told.until(() => b.told.count('connected', 'a') > 0);
      expect(a.transport.send('a', bytesOf(1), 'control')).toBe(false);
      // Nobody connects to itself, or is refused by itself.
      expect([a.told.events.length, b.told.events.length]).toEqual([1, 1]);
    });

    test('that leave are reported: both lanes as disconnected, then once as unreachable', async () => {
      const [a, b] = (await members.startAll('a', 'b', 'c')) as [Member, Member, Member];
      a.transport.send('b', bytesOf(1), 'bulk');
      await b.told.until(() => b.told.messages.length === 1);
      let before: string[] = [];
      a.told.onLost = () => (before = [...a.told.disconnected]);
      await b.transport.stop();
      await a.told.until(() => a.told.unreachable.length > 0 && a.told.count('disconnected', 'b') > 0);
      expect(new Set(before)).toEqual(new Set(['b control', 'b bulk']));
      for (const lane of lanes) expect(a.transport.send('b', bytesOf(1), lane)).toBe(false);
      const again = await members.start('b');
      await again.told.until(() => again.told.count('connected', 'a') > 0);
      expect(a.told.unreachable).toEqual(['b']);
      expect(new Set(a.told.disconnected)).toEqual(new Set(['b control', 'b bulk']));
      // It closed its connections itself.
      expect([...b.told.disconnected, ...b.told.unreachable]).toEqual([]);
    });

    test.each(['a', 'b'])('that start again at the same address are reached again: %s', async (restarted) => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      const other = restarted === 'a' ? b : a;
      let fresh = restarted === 'a' ? a : b;
      for (let round = 1; round <= 3; round++) {
        const before = other.told.messages.length;
        const isBack = other.told.count('connected', restarted) + 1;
        await fresh.transport.stop();
        fresh = await members.start(restarted);
        await fresh.told.until(() => fresh.told.count('connected', other.self.id) > 0);
        await other.told.until(() => other.told.count('connected', restarted) >= isBack);
        const to = other.self.id;
        for (const lane of lanes) expect(fresh.transport.send(to, bytesOf(round), lane)).toBe(true);
        expect(other.transport.send(restarted, bytesOf(round), 'bulk')).toBe(true);
        await other.told.until(() => other.told.messages.length === before + 2);
        await fresh.told.until(() => fresh.told.messages.length === 1);
      }
    });

    test('are whom setPeers names: others are cut off, and refused until they are back', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      for (const round of [1, 2]) {
        a.transport.setPeers([members.peer('c')]);
        expect(a.transport.send('b', bytesOf(1), 'control')).toBe(false);
        await b.told.until(() => b.told.unreachable.length === round);
        expect(b.transport.send('a', bytesOf(1), 'control')).toBe(false);
        await a.told.event('refused', /not a member: b/);
        await b.told.until(() => b.told.count('refused', 'a') === round);
        await b.told.event('refused', /not a member: b/);
        a.transport.setPeers([members.peer('b'), members.peer('c')]);
        await b.told.until(() => b.told.count('connected', 'a') === round + 1);
        expect(b.transport.send('a', bytesOf(round), 'control')).toBe(true);
        await a.told.until(() => a.told.messages.length === round);
        expect(a.told.messages.at(-1)).toEqual({ from: 'b', bytes: bytesOf(round) });
      }
      // It has parted from b itself.
      expect([...a.told.disconnected, ...a.told.unreachable]).toEqual([]);
    });

    test('of another cluster are refused, and both are told (transport/right-peer)', async () => {
      const a = await members.start('a', { cluster: 'one' });
      const b = await members.start('b', { cluster: 'two' });
      await a.told.event('refused', /another cluster/);
      await b.told.event('refused', /another cluster/);
      expect(a.transport.send('b', bytesOf(1), 'control')).toBe(false);
      expect([...a.told.messages, ...b.told.messages]).toEqual([]);
    });

    test('of another incarnation than the expected one are refused, and told so (transport/right-incarnation)', async () => {
      const a = await members.start('a', { peers: ['b'], expects: { b: 1 } });
      const b = await members.start('b', { peers: ['a'], incarnation: 2 });
      await b.told.until(() => b.told.refused.length > 0);
      expect(b.told.refused).toEqual([{ peer: 'a', why: 'incarnation' }]);
      await a.told.event('refused', /incarnation 2, expected 1/);
      for (const lane of lanes) expect(a.transport.send('b', bytesOf(1), lane)).toBe(false);
      expect([a.transport.connected(), a.told.refused]).toEqual([[], []]);
      await b.transport.stop();
      const right = await members.start('b', { peers: ['a'] });
      await a.told.until(() => a.told.count('connected', 'b') > 0);
      await right.told.until(() => right.told.count('connected', 'a') > 0);
      expect(right.transport.send('a', bytesOf(3), 'control')).toBe(true);
      await a.told.until(() => a.told.messages.length === 1);
      expect(a.told.messages).toEqual([{ from: 'b', bytes: bytesOf(3) }]);
    });

    test('that wait for bytes are told with how many, until these have left', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      const unsent = (): number | undefined => a.transport.unsent?.().find(({ peer }) => peer === 'b')?.bytes;
      if (unsent() === undefined) return; // it cannot tell
      expect(unsent()).toBe(0);
      for (const lane of lanes) a.transport.send('b', new Uint8Array(2000), lane);
      expect(unsent()).toBeGreaterThanOrEqual(4000);
      await b.told.until(() => b.told.messages.length === 2);
      b.transport.send('a', bytesOf(1), 'control');
      await a.told.until(() => a.told.messages.length === 1);
      expect(unsent()).toBe(0);
    });

    test('are cut off once another incarnation of them is expected', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      expect([a.transport.connected(), b.transport.connected()]).toEqual([['b'], ['a']]);
      a.transport.setPeers([members.peer('b', 1)]);
      expect(a.transport.send('b', bytesOf(1), 'control')).toBe(true);
      await b.told.until(() => b.told.messages.length === 1);
      a.transport.setPeers([members.peer('b', 7)]);
      expect(a.transport.send('b', bytesOf(1), 'control')).toBe(false);
      await b.told.until(() => b.told.unreachable.length === 1 && b.told.refused.length === 1);
      expect(b.told.refused).toEqual([{ peer: 'a', why: 'incarnation' }]);
      expect(b.told.messages).toHaveLength(1);
    });

    test('are each named once', async () => {
      const [a] = (await members.startAll('a', 'b')) as [Member, Member];
      const twice = [members.peer('b'), members.peer('b')];
      const error = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
      expect(() => a.transport.setPeers(twice)).toThrow(error);
      expect(a.transport.send('b', bytesOf(1), 'control')).toBe(true);
      const misuse = members.start('c', { peers: ['a', 'a'] });
      await expect(misuse).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    });
  });

  describe('a transport', () => {
    test('says which addresses it cannot use, before it starts, while it runs and when it has stopped', async () => {
      const transport = members.make();
      const check = (): void => {
        for (const id of ['a', 'b', 'c']) expect(() => transport.checkAddress(members.peer(id).address)).not.toThrow();
        const error = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
        for (const none of [undefined, null, 7]) expect(() => transport.checkAddress(none as never)).toThrow(error);
      };
      check();
      await members.start('a', { transport });
      check();
      await transport.stop();
      check();
    });

    test('is silent and deaf before it starts and after it stops', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      fill(a, 'b', 'control', bytesOf(100), 5000);
      await b.told.until(() => b.told.messages.length > 0);
      await b.transport.stop();
      const { calls } = b.told;
      for (const lane of lanes) expect(b.transport.send('a', bytesOf(1), lane)).toBe(false);
      expect(() => b.transport.setPeers([members.peer('a')])).not.toThrow();
      await a.told.until(() => a.told.unreachable.length === 1);
      expect(b.told.calls).toBe(calls);
    });

    test('has its place from its start on, and reaches and answers nobody before it is told to', async () => {
      const b = await members.start('b', { peers: ['a'] });
      const a = await members.start('a', { peers: ['b'], silent: true });
      await expect(members.start('a')).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
      expect(a.transport.send('b', bytesOf(1), 'control')).toBe(false);
      expect(b.transport.send('a', bytesOf(1), 'control')).toBe(false);
      expect([a.told.calls, a.transport.connected(), b.told.events]).toEqual([0, [], []]);
      a.transport.answer();
      await a.told.until(() => a.told.count('connected', 'b') > 0);
      await b.told.until(() => b.told.count('connected', 'a') > 0);
      expect(b.transport.send('a', bytesOf(2), 'control')).toBe(true);
      await a.told.until(() => a.told.messages.length === 1);
    });

    test('that stops before it answers leaves its place', async () => {
      const a = await members.start('a', { silent: true });
      await a.transport.stop();
      a.transport.answer();
      expect(a.told.calls).toBe(0);
      await expect(members.start('a')).resolves.toBeDefined();
    });

    test('delivers nothing more from the moment a handler stops it', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      let stopped: Promise<void> | undefined;
      b.told.onEach = () => (stopped ??= b.transport.stop());
      expect(fill(a, 'b', 'control', bytesOf(10), 100)).toBe(100);
      await b.told.until(() => b.told.messages.length > 0);
      await stopped;
      await a.told.until(() => a.told.unreachable.length === 1);
      expect(b.told.messages).toHaveLength(1);
    });

    test('that stops lets go what it was given before', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      expect(a.transport.send('b', bytesOf(7), 'control')).toBe(true);
      await a.transport.stop();
      await b.told.until(() => b.told.messages.length === 1);
      expect(b.told.messages[0]?.bytes).toEqual(bytesOf(7));
    });

    test('stops twice, stops unstarted, and starts once', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      fill(a, 'b', 'bulk', bytesOf(1000), 2000);
      await Promise.all([a.transport.stop(), a.transport.stop()]);
      await a.transport.stop();
      const again = members.start('a', { transport: a.transport });
      await expect(again).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
      const twice = members.start('b', { transport: b.transport });
      await expect(twice).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
    });

    test('does not come to a place that is taken, until it is free', async () => {
      const [a] = (await members.startAll('a', 'b')) as [Member, Member];
      await expect(members.start('a')).rejects.toMatchObject({ code: 'ERR_TRANSPORT_FAILED' });
      await a.transport.stop();
      await expect(members.start('a')).resolves.toBeDefined();
    });

    test('outlives what a handler throws, and does not hide it', async () => {
      const [a, b] = (await members.startAll('a', 'b')) as [Member, Member];
      const uncaught: unknown[] = [];
      const before = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', (error) => uncaught.push(error));
      try {
        b.told.onEach = () => {
          throw new Error(`handler ${b.told.messages.length}`);
        };
        fill(a, 'b', 'control', bytesOf(5), 3);
        await b.told.until(() => b.told.messages.length === 3);
        b.told.onEach = () => {};
        a.transport.send('b', bytesOf(5), 'control');
        await b.told.until(() => b.told.messages.length === 4);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of before) process.on('uncaughtException', listener);
      }
      expect(uncaught.map(String)).toEqual(['Error: handler 1', 'Error: handler 2', 'Error: handler 3']);
      expect(b.told.unreachable).toEqual([]);
    });
  });
}
