/** A little colour, where a terminal shows it. */

const colour = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
const began = performance.now();

function paint(code: number): (text: string) => string {
  return (text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
}

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
const cyan = paint(36);

/** Columns that the text takes on the screen. */
function width(text: string): number {
  return text.replace(/\u001b\[\d+m/g, '').length;
}

function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}

export function headline(text: string): void {
  console.log(`\n${bold(cyan(text))}`);
}

/** Calls back when what is printed goes nowhere any more, as after `| head -1`. */
export function whenNobodyReads(callback: () => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    callback();
  });
}

/** One line: when, what, and the story. */
export function fact(what: string, story: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5);
  console.log(`${dim(`${seconds}s`)}  ${pad(what, 8)} ${story}`);
}

/** Rows of a name and a value. */
export function table(rows: readonly (readonly [string, string])[]): void {
  const left = Math.max(...rows.map(([name]) => width(name)));
  const right = Math.max(...rows.map(([, value]) => width(value)));
  const line = `  +${'-'.repeat(left + 2)}+${'-'.repeat(right + 2)}+`;
  console.log(line);
  for (const [name, value] of rows) console.log(`  | ${pad(name, left)} | ${pad(value, right)} |`);
  console.log(line);
}
