/** Plain data as the checkers need it: whether two are equal, and one text for all that are. */

/** Whether two pieces of plain data say the same, whatever the order of their keys. */
export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || (a === 0 && b === 0)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, at) => sameData(item, b[at]));
  }
  return canonicalText(a) === canonicalText(b);
}

/**
 * A text that two pieces of plain data share exactly if they say the same: JSON with sorted keys, in which what
 * JSON cannot tell apart is written out.
 * @throws TypeError for what is no plain data: functions, symbols, objects of a class, cycles
 */
export function canonicalText(value: unknown): string {
  return write(value, []);
}

function write(value: unknown, above: readonly object[]): string {
  if (value === 0) return '0';
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function' || typeof value === 'symbol') throw notPlain(`a ${typeof value}`);
  if (typeof value !== 'object' || value === null) return String(value);
  if (above.includes(value)) throw notPlain('data that contains itself');
  const within = [...above, value];
  if (Array.isArray(value)) return `[${Array.from(value, (item) => write(item, within)).join(',')}]`;
  if (value instanceof Uint8Array) return `<${value.join(' ')}>`;
  if (value instanceof Map || value instanceof Set) {
    // Their order is how they came to be, not what they say.
    const items = Array.from<unknown, string>(value, (item) => write(item, within)).sort();
    return `${value instanceof Map ? 'map' : 'set'}(${items.join(',')})`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) throw notPlain('an object of a class');
  const fields = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${write(field, within)}`).join(',')}}`;
}

function notPlain(what: string): TypeError {
  return new TypeError(`${what} is no plain data`);
}
