/** What was given, as text for the message of an error. */

/** The value itself, text in quotes; never throws, whatever the value's own code does. */
export function shown(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(value) : String(value);
  } catch {
    return 'a value without text'; // an object without a prototype, or a Proxy
  }
}
