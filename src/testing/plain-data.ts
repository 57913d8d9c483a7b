/** Equality of plain data, and its canonical text. */

/** Whether two pieces of plain data are equal; the order of keys does not count. */
export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || (a === 0 && b === 0)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, at) => sameData(item, b[at]));
  }
  return canonicalText(a) === canonicalText(b);
}

/**
 * The canonical text of plain data: two values have the same text exactly if they are equal. It is JSON with sorted
 * keys, extended by forms for values that JSON cannot tell apart.
 * @throws TypeError for other values: functions, symbols, objects of a class, cycles
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
    // The order of their items is the order of insertion, which does not count.
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
