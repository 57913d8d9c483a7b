/** Helpers for two laws of a core: a repeated step gives the same (law/pure), and states are values (law/values). */

/**
 * Whether two values of plain data and byte arrays are deeply equal. Maps and sets, which a user's snapshot may hold,
 * are compared in the order of iteration: equal machines have filled them in the same order.
 */
export function sameDeep(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (isCollection(a) || isCollection(b)) {
    return isCollection(a) && isCollection(b) && a.constructor === b.constructor && sameDeep([...a], [...b]);
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length || Array.isArray(a) !== Array.isArray(b)) return false;
  return keys.every((key) => sameDeep((a as never)[key], (b as never)[key]));
}

function isCollection(value: object): value is Map<unknown, unknown> | Set<unknown> {
  return value instanceof Map || value instanceof Set;
}

/** Freezes plain data deeply. Byte arrays cannot be frozen. */
export function deepFreeze(value: unknown): void {
  if (typeof value === 'object' && value !== null) freezeObject(value);
}

/** What is not extensible was frozen before, and all in it: that is asked much faster than whether it is frozen. */
function freezeObject(value: object): void {
  if (!Object.isExtensible(value) || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) deepFreeze(value[at]);
    return;
  }
  for (const key in value) deepFreeze((value as never)[key]);
}
