/** The configuration value: one form for one set of members, every rule with a message that names it. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Malformed, Reader, Writer } from '../../src/core/bytes.js';
import * as members from '../../src/core/members.js';
import { clusterOf } from '../values.js';

const { defaultConstants } = members;

const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter((each) => each !== '__proto__');
const configuration = fc
  .uniqueArray(id, { minLength: 1, maxLength: 7 })
  .map((ids) => members.configurationOf(Object.fromEntries(ids.map((each) => [each, `${each}:7000`]))));

describe('a configuration', () => {
  it('is the same for every order of its members', () => {
    const one = members.configurationOf({ b: 'h:2', a: 'h:1', c: 'h:3' });
    expect(one).toEqual(members.configurationOf({ c: 'h:3', a: 'h:1', b: 'h:2' }));
    expect(one.members.map((member) => [member.id, member.number])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ]);
    expect(members.memberOf(one, 'b')?.address).toBe('h:2');
    expect(members.memberOf(one, 'd')).toBeUndefined();
  });

  it('survives bytes', () => {
    fc.assert(
      fc.property(configuration, fc.boolean(), (one, rejects) => {
        const given = { ...one, constants: { ...one.constants, onApplyError: rejects ? 'reject' : 'halt' } as const };
        const writer = new Writer();
        members.writeConfiguration(writer, given);
        const reader = new Reader(writer.finish());
        expect(members.readConfiguration(reader)).toEqual(given);
        reader.end();
      }),
    );
  });

  it('no bytes make an invalid one', () => {
    const writer = new Writer();
    members.writeConfiguration(writer, clusterOf(3));
    const sound = writer.finish();
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
        const input = cut ? sound.slice(0, at) : sound.slice();
        if (!cut) input[at] = value;
        try {
          members.checkConfiguration(members.readConfiguration(new Reader(input)));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
        }
      }),
      { numRuns: 500 },
    );
  });

  const three = clusterOf(3);
  const [a, b] = three.members as [members.Member, members.Member, members.Member];
  it.each<[string, readonly members.Member[], RegExp]>([
    ['nobody', [], /members: expected 1 to 7, got 0/],
    ['eight', Array.from({ length: 8 }, (_, at) => ({ id: `x${at}`, number: at + 1, address: 'h:1' })), /got 8/],
    ['the same id twice', [a, { ...b, id: a.id }], /stands there twice/],
    ['the same number twice', [a, { ...b, number: a.number }], /numbers must rise/],
    ['number 0', [{ ...a, number: 0 }], /numbers must rise/],
    ['an empty id', [{ ...a, id: '' }], /an id is 1 to 64/],
    ['an id with a blank', [{ ...a, id: 'a b' }], /"a b"/],
    ['a long id', [{ ...a, id: 'a'.repeat(65) }], /an id is 1 to 64/],
    ['an empty address', [{ ...a, address: '' }], /address of n1/],
    ['an address with a line break', [{ ...a, address: 'h:1\n' }], /address of n1/],
    ['an id without text', [{ ...a, id: 1n as never }], /an id is 1 to 64 .*, got 1$/],
    ['a priority without text', [{ ...a, priority: Object.create(null) as never }], /^members\.n1\.priority: /],
    ['a long address', [{ ...a, address: 'h'.repeat(513) }], /address of n1/],
  ])('refuses %s', (_, given, message) => {
    const check = (): void => members.checkConfiguration({ members: given, constants: defaultConstants });
    expect(check).toThrow(RangeError);
    expect(check).toThrow(message);
  });

  it.each([
    'alpha',
    'sessionWindow',
    'sessions',
    'sessionBytes',
    'clientSessions',
    'clientSessionBytes',
    'clientSessionTime',
    'maxEntryBytes',
  ] as const)('checks %s', (name) => {
    for (const value of [0, -1, 1.5, NaN, 2 ** 53, Symbol('x'), Object.create(null)]) {
      const constants = { ...defaultConstants, [name]: value };
      expect(() => members.checkConfiguration({ members: three.members, constants })).toThrow(new RegExp(`^${name}: `));
    }
  });

  it('checks onApplyError', () => {
    for (const onApplyError of ['ignore', Object.create(null)] as 'halt'[]) {
      const constants = { ...defaultConstants, onApplyError };
      expect(() => members.checkConfiguration({ members: three.members, constants })).toThrow(/^onApplyError: /);
    }
  });
});

it('a priority is kept, the default is left out, and what is no priority is refused', () => {
  const given = {
    a: { address: 'h:1', priority: 200 },
    b: 'h:2',
    c: { address: 'h:3', priority: 100 },
    d: { address: 'h:4' },
  };
  const configuration = members.configurationOf(given);
  expect(configuration.members.map(({ priority }) => priority)).toEqual([200, undefined, undefined, undefined]);
  expect(configuration.members.map(members.priorityOf)).toEqual([200, 100, 100, 100]);
  const bytesOf = (value: typeof configuration): Uint8Array => {
    const writer = new Writer(64);
    members.writeConfiguration(writer, value);
    return writer.finish();
  };
  expect(members.readConfiguration(new Reader(bytesOf(configuration)))).toEqual(configuration);
  for (const onApplyError of ['halt', 'reject'] as const) {
    const constants = { ...members.defaultConstants, onApplyError };
    const plain = bytesOf(members.configurationOf({ a: 'h:1', b: 'h:2' }, constants));
    expect(plain[plain.length - 1]).toBe(onApplyError === 'reject' ? 1 : 0);
    const zero = members.configurationOf({ a: 'h:1', b: { address: 'h:2', priority: 0 } }, constants);
    expect(members.readConfiguration(new Reader(bytesOf(zero)))).toEqual(zero);
  }
  const unknown = bytesOf(members.configurationOf({ a: 'h:1' }));
  unknown[unknown.length - 1] = 4;
  expect(() => members.readConfiguration(new Reader(unknown))).toThrow(Malformed);
  for (const priority of [-1, 1.5, NaN, 65_536, '1' as unknown as number]) {
    expect(() => members.configurationOf({ a: { address: 'h:1', priority } })).toThrow(/members\.a\.priority/);
  }
  expect(() => members.configurationOf({ a: { address: 'h:1', weight: 1 } as never })).toThrow(/members\.a\.weight/);
});
