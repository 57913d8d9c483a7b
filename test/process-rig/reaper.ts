/** The rig's end of `test/programs/process-rig-reaper.ts`: nothing outlives the rig, not even a stopped process. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export class Reaper {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(program: string) {
    this.child = spawn(process.execPath, [program], { stdio: ['pipe', 'inherit', 'inherit'] });
    this.child.stdin?.on('error', () => undefined);
    this.ended = once(this.child, 'close');
  }

  private tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  born(pid: number): void {
    this.tell(`process ${pid}`);
  }

  gone(pid: number): void {
    this.tell(`gone ${pid}`);
  }

  folder(path: string): void {
    this.tell(`folder ${path}`);
  }

  /** Kills what is left, removes the folders. Resolves when that is done. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.ended;
  }
}
