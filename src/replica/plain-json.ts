/**
 * What JSON carries unchanged. `JSON.stringify` is silent about most of what it drops or changes: a Map becomes `{}`,
 * NaN `null`, a Date a text. A log must not change its commands, so one walk finds such a value before.
 */

/** Deeper values are refused, as cycles are: where the stack ends would differ from replica to replica. */
const DEEPEST = 1000;

/** How every realm shows its own `Object`, and nothing else. */
const OBJECT = Function.prototype.toString.call(Object);

/** A realm is a window, a worker's or a test runner's context; each has prototypes of its own. */
function isObjectPrototype(it: object | null): boolean {
  if (it === Object.prototype) return true;
  if (it === null || Object.getPrototypeOf(it) !== null) return false;
  const own: unknown = Object.getOwnPropertyDescriptor(it, 'constructor')?.value;
  if (typeof own !== 'function' || Function.prototype.toString.call(own) !== OBJECT) return false;
  return own.prototype === it;
}

/** Of arrays themselves, in any realm, it is an array; of their subclasses it is not. */
function isArrayPrototype(it: object | null): boolean {
  return it === Array.prototype || (Array.isArray(it) && isObjectPrototype(Object.getPrototypeOf(it) as object | null));
}

function nameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown };
  const name = typeof constructor === 'function' && constructor !== Object ? constructor.name : '';
  return name === '' ? 'an object that is not plain' : `an object of the class ${name}`;
}

/** The property that no loop over the names finds. */
function hiddenIn(value: object): string {
  const isNamed = Object.getOwnPropertySymbols(value).length > 0;
  return isNamed ? 'a property named by a symbol' : 'a property that is not enumerable';
}

/** One walk through one value. */
class JsonWalk {
  /** The containers around the value that is looked at, and the keys that lead to them. */
  private readonly around: object[] = [];
  private readonly keys: string[] = [];

  private refuse(key: string | null, what: string): never {
    const path = [...this.keys, ...(key === null ? [] : [key])].join('');
    throw new TypeError(`JSON cannot carry ${what}${path === '' ? '' : `, at ${path.replace(/^\./, '')}`}`);
  }

  /** @param key where it stands in its container, as `.key` or `[index]`; empty for the whole */
  check(value: unknown, key: string | number): void {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return;
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return;
        return this.refuse(shownKey(key), Object.is(value, -0) ? '-0' : String(value));
      case 'object':
        return value === null ? undefined : this.enter(value, shownKey(key));
      default:
        return this.refuse(shownKey(key), value === undefined ? 'undefined in an array' : `a ${typeof value}`);
    }
  }

  private enter(value: object, key: string): void {
    const { around, keys } = this;
    if (around.includes(value)) this.refuse(key, 'a cycle');
    if (around.length === DEEPEST) this.refuse(null, `more than ${DEEPEST} levels`);
    around.push(value);
    keys.push(key);
    if (Array.isArray(value)) this.checkArray(value);
    else this.checkObject(value);
    around.pop();
    keys.pop();
  }

  /** JSON would carry what it returns. */
  private checkToJson(value: object): void {
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') this.refuse(null, 'an object with toJSON()');
  }

  private checkArray(value: readonly unknown[]): void {
    if (!isArrayPrototype(Object.getPrototypeOf(value) as object | null)) this.refuse(null, nameOf(value));
    this.checkToJson(value);
    // Beside the elements it has its length.
    const { length } = value;
    if (Object.keys(value).length !== length || Reflect.ownKeys(value).length !== length + 1)
      this.refuse(null, 'an array with holes or with other properties');
    for (let at = 0; at < value.length; at++) {
      const element = value[at];
      // Of a getter, which may give another value the next time. Looking for one takes ten times as long.
      if (!Object.is(element, value[at])) this.refuse(shownKey(at), 'a getter');
      this.check(element, at);
    }
  }

  private checkObject(value: object): void {
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === null) this.refuse(null, 'an object without a prototype');
    if (!isObjectPrototype(prototype)) this.refuse(null, nameOf(value));
    this.checkToJson(value);
    const names = Object.keys(value);
    if (Reflect.ownKeys(value).length !== names.length) this.refuse(null, hiddenIn(value));
    for (const name of names) {
      const property = Object.getOwnPropertyDescriptor(value, name);
      // What a getter gives may be another value the next time.
      if (property?.get !== undefined || property?.set !== undefined) this.refuse(shownKey(name), 'a getter or setter');
      if (property?.value !== undefined) this.check(property.value, name);
    }
  }
}

function shownKey(key: string | number): string {
  return typeof key === 'number' ? `[${key}]` : key === '' ? '' : `.${key}`;
}

/**
 * Checks that JSON carries the value as it is, save that properties holding `undefined` are left out.
 * @throws TypeError that says what JSON cannot carry, and where it stands
 */
export function checkPlainJson(value: unknown): void {
  new JsonWalk().check(value, '');
}
