/** One member, whose process comes and goes: started, asked, stopped, killed, closed. */

import { fork, type ChildProcess } from 'node:child_process';
import { within } from './conditions.js';
import type { Answer, Ask, MemberSettings, Question, Said } from './messages.js';
import type { Reaper } from './reaper.js';

/** The process is gone: what was asked of it may or may not have happened. */
export class Gone extends Error {}

/** The replica could not start, and said why. */
export class Refused extends Error {
  readonly code: string | null;

  constructor(message: string, code: string | null) {
    super(message);
    this.code = code;
  }
}

/** What a member tells unasked. */
export interface Listener {
  event(member: string, event: string, detail: string): void;
  /** It ended without being killed or closed. */
  died(member: string, how: string): void;
}

interface Waiter {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

const START_LIMIT = 30_000;
const CLOSE_LIMIT = 20_000;

export class MemberProcess {
  readonly settings: MemberSettings;
  private readonly program: string;
  private readonly launcher: readonly string[];
  private readonly reaper: Reaper;
  private readonly listener: Listener;
  private child: ChildProcess | null = null;
  private state: 'down' | 'starting' | 'up' | 'stopped' | 'ending' = 'down';
  private asks = 0;
  private readonly waiting = new Map<number, Waiter>();
  private stderr = '';
  private ended: Promise<string> = Promise.resolve('');
  /** When it stood still, on the rig's clock; `to` is `null` while it does. */
  readonly pauses: { readonly from: number; to: number | null }[] = [];

  /** @param launcher what starts it, with arguments: has to become the process, and to leave it its pipes */
  constructor(
    settings: MemberSettings,
    program: string,
    launcher: readonly string[],
    reaper: Reaper,
    listener: Listener,
  ) {
    this.settings = settings;
    this.program = program;
    this.launcher = launcher;
    this.reaper = reaper;
    this.listener = listener;
  }

  get id(): string {
    return this.settings.id;
  }

  /** It can be asked, and will answer unless it is stopped. */
  get isUp(): boolean {
    return this.state === 'up' || this.state === 'stopped';
  }

  get isStopped(): boolean {
    return this.state === 'stopped';
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Gone(`member ${this.id} is not running`);
    return this.child.pid;
  }

  /** Resolves when the replica listens. @throws Refused when it says that it cannot, Gone when it is killed */
  async start(): Promise<void> {
    if (this.state !== 'down') throw new Error(`member ${this.id} is already running`);
    this.state = 'starting';
    this.stderr = '';
    const [execPath, ...execArgv] = [...this.launcher, process.execPath];
    const child = fork(this.program, [JSON.stringify(this.settings)], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      execPath: execPath as string,
      execArgv,
    });
    this.child = child;
    const { pid } = child;
    if (pid !== undefined) this.reaper.born(pid);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-4000);
    });
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `code ${code}`));
    });
    void this.ended.then((how) => {
      if (pid !== undefined) this.reaper.gone(pid);
      this.over(how);
    });
    await within(START_LIMIT, `start of member ${this.id}`, this.hello(child));
    this.state = 'up';
  }

  private hello(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      let refused: Refused | null = null;
      child.on('message', (said: Said) => {
        if ('ask' in said) this.take(said.ask)?.resolve(said.answer);
        else if ('event' in said) this.listener.event(this.id, said.event, said.detail);
        else if ('up' in said) resolve();
        else {
          const { message, code } = said.refused;
          this.state = 'ending';
          refused = new Refused(message, code);
        }
      });
      void this.ended.then((how) => {
        reject(refused ?? new Gone(`member ${this.id} ended while it started: ${how} ${this.stderr}`));
      });
    });
  }

  /** The process has ended, for whatever reason. */
  private over(how: string): void {
    const expected = this.state === 'ending' && this.stderr === '';
    const shown = this.stderr === '' ? how : `${how}: ${this.stderr}`;
    this.state = 'down';
    this.child = null;
    this.endPause();
    for (const ask of [...this.waiting.keys()]) this.take(ask)?.reject(new Gone(`member ${this.id} is gone`));
    if (!expected) this.listener.died(this.id, shown);
  }

  private endPause(): void {
    const pause = this.pauses.at(-1);
    if (pause?.to === null) pause.to = performance.now();
  }

  private take(ask: number): Waiter | undefined {
    const waiter = this.waiting.get(ask);
    this.waiting.delete(ask);
    return waiter;
  }

  /** @throws Gone when the process ends before it answers */
  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { child } = this;
      if (child === null || !child.connected) return reject(new Gone(`member ${this.id} is gone`));
      const ask = ++this.asks;
      this.waiting.set(ask, { resolve, reject });
      child.send({ ask, question } satisfies Ask, (error) => {
        if (error !== null) this.take(ask)?.reject(new Gone(`member ${this.id} is gone`));
      });
    });
  }

  /** SIGSTOP: it stands still, its sockets stay open. */
  stop(): void {
    if (this.state !== 'up') return;
    this.child?.kill('SIGSTOP');
    this.state = 'stopped';
    this.pauses.push({ from: performance.now(), to: null });
  }

  cont(): void {
    if (this.state !== 'stopped') return;
    this.endPause();
    this.child?.kill('SIGCONT');
    this.state = 'up';
  }

  /** SIGKILL: no handler runs, nothing is flushed. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.child === null) return;
    this.state = 'ending';
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Asks the replica to close. Resolves when the process has ended by itself. @throws when it does not, or not well */
  async close(): Promise<void> {
    if (this.child === null) return;
    this.cont();
    const { ended } = this;
    const asked = this.ask({ kind: 'close' });
    this.state = 'ending';
    const answer = await within(CLOSE_LIMIT, `close of member ${this.id}`, asked);
    if (answer.kind === 'failed') throw new Error(`member ${this.id} failed to close: ${answer.message}`);
    const how = await within(CLOSE_LIMIT, `end of member ${this.id} after its close`, ended);
    if (how !== 'code 0') throw new Error(`member ${this.id} ended with ${how} after its close`);
  }
}
