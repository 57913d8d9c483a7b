/** Members that are named: how the TCP transport looks names up, and what it does when they move or are gone. */

import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { tcpTransport, type TcpTransportOptions } from '../../src/adapters/tcp-transport/index.js';
import { addressesInHosts, Lookups, type NameSources } from '../../src/adapters/tcp-transport/lookups.js';
import { checkTcpOptions } from '../../src/adapters/tcp-transport/options.js';
import { Place } from '../../src/adapters/tcp-transport/place.js';
import { TcpTransport } from '../../src/adapters/tcp-transport/transport.js';
import { createReplica, memoryStorage, raft } from '../../src/index.js';
import { portOf, standIn, welcomeOf } from './tcp-sockets.js';
import { freeAddresses, Members, Recorder, type Member } from './transport-laws.js';

const HOUR = 3_600_000;

function failure(code: string): Error {
  return Object.assign(new Error(`query${code}`), { code });
}

/** Names as a test has them; it counts who is asked. */
class Names implements NameSources {
  readonly records = new Map<string, readonly string[] | Error>();
  hostsFile = '';
  readonly asked: string[] = [];
  /** How many questions to name servers have no answer yet. */
  open = 0;
  mostOpen = 0;
  /** Called when name servers are asked. */
  onAsked: () => void = () => {};
  private readonly silent = new Set<() => void>();
  isSilent = false;

  hosts(): Promise<string> {
    return Promise.resolve(this.hostsFile);
  }

  servers(host: string): ReturnType<NameSources['servers']> {
    this.asked.push(`servers ${host}`);
    this.mostOpen = Math.max(this.mostOpen, ++this.open);
    let cancel = (): void => {};
    const addresses = new Promise<readonly string[]>((resolve, reject) => {
      cancel = () => {
        this.silent.delete(answer);
        reject(failure('ECANCELLED'));
      };
      const answer = (): void => {
        const found = this.records.get(host) ?? failure('ENOTFOUND');
        this.silent.delete(answer);
        if (found instanceof Error) reject(found);
        else resolve(found);
      };
      if (this.isSilent) this.silent.add(answer);
      else answer();
    });
    const closed = (): void => void this.open--;
    addresses.then(closed, closed);
    this.onAsked();
    return { addresses, cancel: () => cancel() };
  }

  system(host: string): Promise<readonly string[]> {
    this.asked.push(`system ${host}`);
    return Promise.reject(failure('ENOTFOUND'));
  }

  /** Servers answer again, also what they were asked before. */
  speak(): void {
    this.isSilent = false;
    for (const answer of [...this.silent]) answer();
  }
}

let names: Names;
let addresses: Map<string, string>;
let members: Members;
const closers: (() => void)[] = [];

beforeEach(async () => {
  names = new Names();
  addresses = await freeAddresses(['a', 'b', 'c']);
  members = new Members(() => tcpTransport(), addresses);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await members.stop();
  for (const close of closers.splice(0)) close();
});

const addressOf = (id: string): string => addresses.get(id) as string;

/** Member a, which dials b by its name, at b's port. */
async function dialling(options: TcpTransportOptions = {}, name = 'b.example'): Promise<Member> {
  const transport = new TcpTransport(checkTcpOptions(options), new Lookups(names));
  const a = await members.start('a', { transport, peers: [] });
  a.transport.setPeers([{ id: 'b', address: `${name}:${portOf(addressOf('b'))}` }]);
  return a;
}

describe('a hosts file', () => {
  const text = `
    127.0.0.1 localhost   # the machine itself
    10.0.0.7\tdb.example DB
    #10.0.0.8 db.example
    fe80::7 db.example
    nonsense db.example
    10.0.0.9`;
  test.each([
    ['db.example', ['10.0.0.7', 'fe80::7']],
    ['DB.EXAMPLE', ['10.0.0.7', 'fe80::7']],
    ['db', ['10.0.0.7']],
    ['localhost', ['127.0.0.1']],
    ['the', []],
    ['example', []],
  ])('has %s as %o', (host, expected) => expect(addressesInHosts(text, host)).toEqual(expected));
});

describe('a lookup', () => {
  const of = (host: string): Promise<readonly string[]> => new Lookups(names).addressesOf(host);

  test('asks the hosts file, then name servers, then the system, and gives each address once', async () => {
    names.hostsFile = '10.0.0.1 b.example';
    names.records.set('b.example', ['10.0.0.2']);
    names.records.set('c.example', ['10.0.0.3', '10.0.0.3', '::3']);
    expect(await of('b.example')).toEqual(['10.0.0.1']);
    expect(names.asked).toEqual([]);
    expect(await of('c.example')).toEqual(['10.0.0.3', '::3']);
    await expect(of('d.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(names.asked).toEqual(['servers c.example', 'servers d.example', 'system d.example']);
  });

  test('knows localhost without asking', async () => {
    expect(await of('localhost')).toEqual(['127.0.0.1', '::1']);
    expect(await of('a.localhost')).toEqual(['127.0.0.1', '::1']);
    expect(names.asked).toEqual([]);
  });

  test('does not ask the system while name servers are silent, since that could not be given up', async () => {
    names.records.set('b.example', failure('ETIMEOUT'));
    await expect(of('b.example')).rejects.toMatchObject({ code: 'ETIMEOUT' });
    expect(names.asked).toEqual(['servers b.example']);
  });

  test('of the real system finds this machine, and says what a name has not', async () => {
    const real = new Lookups();
    expect((await real.addressesOf('localhost')).length).toBeGreaterThan(0);
    await expect(real.addressesOf('no-such-host.invalid')).rejects.toMatchObject({ code: expect.any(String) });
  });

  test('is over when its lookups are closed, and none begins', async () => {
    names.isSilent = true;
    const lookups = new Lookups(names);
    const asked = new Promise<void>((resolve) => (names.onAsked = resolve));
    const pending = lookups.addressesOf('b.example');
    await asked;
    lookups.close();
    await expect(pending).rejects.toMatchObject({ code: 'ECANCELLED' });
    await expect(lookups.addressesOf('b.example')).rejects.toMatchObject({ code: 'ECANCELLED' });
    expect([names.open, names.asked]).toEqual([0, ['servers b.example']]);
  });
});

describe('the place of a peer', () => {
  test('is looked up once at a time, and anew each time (transport/one-lookup)', async () => {
    names.isSilent = true;
    names.records.set('b.example', ['10.0.0.1']);
    const place = new Place({ host: 'b.example', port: 1 }, new Lookups(names));
    const both = Promise.all([place.lookUp(), place.lookUp()]);
    await new Promise((resolve) => setImmediate(resolve));
    const third = place.lookUp();
    names.speak();
    expect([...(await both), await third]).toEqual([['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']]);
    expect(names.asked).toEqual(['servers b.example']);
    names.records.set('b.example', ['10.0.0.2']);
    expect(await place.lookUp()).toEqual(['10.0.0.2']);
    names.records.set('b.example', failure('ESERVFAIL'));
    await expect(place.lookUp()).rejects.toBeDefined();
    expect(place.known).toEqual(['10.0.0.2']);
  });

  test('begins with the address that was reached, then with the one after that was not', async () => {
    names.records.set('b.example', ['1.1.1.1', '2.2.2.2', '3.3.3.3']);
    const place = new Place({ host: 'b.example', port: 1 }, new Lookups(names));
    await place.lookUp();
    place.prefer('2.2.2.2');
    names.records.set('b.example', ['3.3.3.3', '1.1.1.1', '2.2.2.2']);
    expect(await place.lookUp()).toEqual(['2.2.2.2', '3.3.3.3', '1.1.1.1']);
    place.avoid('2.2.2.2');
    expect(place.known).toEqual(['3.3.3.3', '1.1.1.1', '2.2.2.2']);
    expect(await place.lookUp()).toEqual(['3.3.3.3', '1.1.1.1', '2.2.2.2']);
    expect([place.has('1.1.1.1'), place.has('4.4.4.4')]).toEqual([true, false]);
    names.records.set('b.example', ['4.4.4.4']);
    expect(await place.lookUp()).toEqual(['4.4.4.4']);
  });
});

describe('a peer with a name', () => {
  test('is dialled at each of its addresses in turn, without a wait, until it is found', async () => {
    if (process.platform !== 'linux') return; // elsewhere not all of 127/8 is the machine itself
    // Nobody listens at the first two; whoever is at the third is somebody else.
    names.records.set('b.example', ['127.0.0.2', '::1', '127.0.0.3', '127.0.0.1']);
    const { close } = await standIn(`127.0.0.3:${portOf(addressOf('b'))}`, (socket, hello) =>
      socket.write(welcomeOf('c', hello)),
    );
    closers.push(close);
    const b = await members.start('b', { peers: ['a'] });
    const a = await dialling({ reconnectDelay: { min: 5, max: 10 } });
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    await a.told.event('refused', /is c, expected b/);
    a.transport.send('b', Uint8Array.of(1), 'control');
    await b.told.until(() => b.told.messages.length === 1);
    // From now on the right one is the first.
    expect(a.told.count('refused', 'b')).toBe(1);
  });

  test('is found when it moves', async () => {
    if (process.platform !== 'linux') return; // elsewhere not all of 127/8 is the machine itself
    const elsewhere = `127.0.0.4:${portOf(addressOf('b'))}`;
    names.records.set('b.example', ['127.0.0.1']);
    const before = await members.start('b', { peers: ['a'] });
    const a = await dialling({ reconnectDelay: { min: 5, max: 10 } });
    await a.told.until(() => a.told.count('connected', 'b') > 0);
    await before.transport.stop();
    await a.told.until(() => a.told.unreachable.length > 0);
    names.records.set('b.example', ['127.0.0.4']);
    const options = { listen: elsewhere, reconnectDelay: { min: HOUR } };
    await members.start('b', { peers: ['a'], transport: tcpTransport(options) });
    await a.told.until(() => a.told.count('connected', 'b') === 2);
  });

  test('is dialled where it was while name servers are silent', async () => {
    const patient = { reconnectDelay: { min: HOUR } };
    names.records.set('b.example', ['127.0.0.1']);
    const { sockets, close } = await standIn(addressOf('b'), (socket, hello) => socket.write(welcomeOf('b', hello)));
    closers.push(close);
    const a = await dialling({ ...patient, stallTimeout: 200 });
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    names.isSilent = true;
    for (const socket of sockets) socket.destroy();
    await a.told.until(() => a.told.count('connected', 'b') === 2);
    expect([a.told.unreachable, names.open]).toEqual([[], 1]);
  });

  test('that nobody knows is told, once, with the cause, until it is found; one lookup at a time', async () => {
    const a = await dialling({ reconnectDelay: { min: 1, max: 2 } });
    const event = await a.told.event('unresolved', /ENOTFOUND/);
    expect(event.peer).toBe('b');
    while (names.asked.length < 20) await new Promise((resolve) => setImmediate(resolve));
    expect([a.told.events.length, names.mostOpen]).toEqual([1, 1]);
    names.records.set('b.example', ['127.0.0.1']);
    await members.start('b', { peers: ['a'] });
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    expect(a.told.unreachable).toEqual([]);
  });

  test('leaves no lookup behind when the transport stops (transport/one-lookup)', async () => {
    names.isSilent = true;
    const asked = new Promise<void>((resolve) => (names.onAsked = resolve));
    const a = await dialling();
    await asked;
    expect(a.transport.send('b', Uint8Array.of(1), 'bulk')).toBe(false);
    await a.transport.stop();
    expect([names.open, names.mostOpen]).toEqual([0, 1]);
    names.speak();
    await new Promise((resolve) => setImmediate(resolve));
    expect(a.told.calls).toBe(0);
  });

  test('has one lookup for both of its lanes', async () => {
    names.records.set('b.example', ['127.0.0.1']);
    const { sockets, close } = await standIn(addressOf('b'), (socket, hello) => socket.write(welcomeOf('b', hello)));
    closers.push(close);
    const a = await dialling({ reconnectDelay: { min: 5, max: 10 } });
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    names.isSilent = true;
    names.mostOpen = 0;
    a.transport.send('b', Uint8Array.of(1), 'bulk');
    for (const socket of sockets) socket.destroy();
    await a.told.until(() => a.told.disconnected.length === 2);
    a.transport.send('b', Uint8Array.of(1), 'bulk');
    expect(names.mostOpen).toBeLessThanOrEqual(1);
    names.speak();
    await a.told.until(() => a.told.count('connected', 'b') === 2);
  });

  test('may have an address of IPv6, which counts as a member at the door', async () => {
    const six = await freeAddresses(['b'], '::1').catch(() => null);
    if (six === null) return; // a machine without it
    addresses.set('b', six.get('b') as string);
    names.records.set('b.example', ['::1']);
    await members.start('b', { peers: ['a'] });
    const a = await dialling();
    await a.told.until(() => a.told.count('connected', 'b') === 1);
    expect((a.transport as TcpTransport).isOfMember('::1')).toBe(true);
    expect((a.transport as TcpTransport).isOfMember('::2')).toBe(false);
  });

  test('listens at the first of its own addresses that this machine has', async () => {
    if (process.platform !== 'linux') return; // elsewhere not all of 127/8 is the machine itself
    names.records.set('a.example', ['192.0.2.7', '127.0.0.5']);
    const address = `a.example:${portOf(addressOf('a'))}`;
    const transport = new TcpTransport(checkTcpOptions({}), new Lookups(names));
    closers.push(() => void transport.stop());
    await transport.start({ cluster: 'laws', id: 'a', incarnation: 1 }, { id: 'a', address }, [], new Recorder());
    const socket = connect(portOf(address), '127.0.0.5');
    await new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('error', reject));
    socket.destroy();
  });

  test('that is its own and cannot be looked up in time does not hold up the stop', async () => {
    names.isSilent = true;
    const asked = new Promise<void>((resolve) => (names.onAsked = resolve));
    const transport = new TcpTransport(checkTcpOptions({}), new Lookups(names));
    const self = { id: 'a', address: 'a.example:7001' };
    const starting = transport.start({ cluster: 'laws', id: 'a', incarnation: 1 }, self, [], new Recorder());
    const refused = expect(starting).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await asked;
    await transport.stop();
    await refused;
    expect(names.open).toBe(0);
  });
});

describe('errors of the start name the option and the cause', () => {
  const fail = async (address: string, options: TcpTransportOptions = {}): Promise<unknown> => {
    const start = async (): Promise<unknown> =>
      createReplica({
        id: 'a',
        members: { a: address, b: addressOf('b'), c: addressOf('c') },
        protocol: raft(),
        transport: tcpTransport(options),
        storage: memoryStorage(),
        machine: { apply: () => null, snapshot: () => null, restore: () => {} },
      });
    return start().then(
      () => expect.unreachable(),
      (error: unknown) => error,
    );
  };

  test('for a port that is taken', async () => {
    const { close } = await standIn(addressOf('a'), () => {});
    closers.push(close);
    const expected = {
      code: 'ERR_TRANSPORT_FAILED',
      cause: expect.objectContaining({ code: 'EADDRINUSE' }),
    };
    expect(await fail(addressOf('a'))).toMatchObject({
      ...expected,
      message: expect.stringMatching(/members\.a: cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE/),
    });
    expect(await fail('10.0.0.1:7001', { listen: addressOf('a') })).toMatchObject({
      ...expected,
      message: expect.stringMatching(/tcpTransport: listen: cannot listen on 127\.0\.0\.1 port \d+: .*EADDRINUSE/),
    });
  });

  test('for a name that nobody knows, and an address of another machine', async () => {
    expect(await fail('no-such-host.invalid:7001')).toMatchObject({
      code: 'ERR_TRANSPORT_FAILED',
      message: expect.stringMatching(
        /members\.a: cannot listen on no-such-host\.invalid port 7001: .*(ENOTFOUND|E[A-Z_]+)/,
      ),
      cause: expect.objectContaining({ code: expect.any(String) }),
    });
    expect(await fail('192.0.2.7:7001')).toMatchObject({
      code: 'ERR_TRANSPORT_FAILED',
      message: expect.stringMatching(/members\.a: cannot listen on 192\.0\.2\.7 port 7001: .*EADDRNOTAVAIL/),
    });
  });

  test('for an address that is none', async () => {
    expect(await fail('10.0.0.1')).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(/^members\.a: .*expected host:port/),
    });
    const peers = [{ id: 'b', address: '10.0.0.1' }];
    const transport = tcpTransport();
    const self = { id: 'a', address: addressOf('a') };
    const identity = { cluster: 'laws', id: 'a', incarnation: 1 };
    await expect(transport.start(identity, self, peers, new Recorder())).rejects.toMatchObject({
      message: expect.stringMatching(/^members\.b: expected host:port/),
    });
  });
});
