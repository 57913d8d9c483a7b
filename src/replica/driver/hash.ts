/** Hashes that tell configurations apart: 106 bits of two FNV-like hashes. They detect mistakes, not attacks. */

import { Writer } from '../../core/bytes.js';
import { writeConfiguration, type Configuration } from '../../core/members.js';

/** cyrb53, public domain: two multiplicative hashes mixed into 53 bits. */
function hash53(bytes: Uint8Array, seed: number): number {
  let a = 0xdeadbeef ^ seed;
  let b = 0x41c6ce57 ^ seed;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 2654435761);
    b = Math.imul(b ^ byte, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

/** 28 hexadecimal digits. */
export function hashOf(bytes: Uint8Array): string {
  return [1, 2].map((seed) => hash53(bytes, seed).toString(16).padStart(14, '0')).join('');
}

/** The hash of members, addresses and constants, which all members must be given alike at their first start. */
export function hashOfConfiguration(configuration: Configuration): string {
  const writer = new Writer(256);
  writeConfiguration(writer, configuration);
  return hashOf(writer.finish());
}

/** The cluster's default name: the hash of the members' ids and addresses. */
export function defaultCluster(configuration: Configuration): string {
  const writer = new Writer(256);
  for (const { id, address } of configuration.members) {
    writer.ascii(id);
    writer.ascii(address);
  }
  return hashOf(writer.finish());
}
