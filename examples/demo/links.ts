/** Links to members, whose paths can die without a word: what swallows bytes tells nobody. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** The links to one member. A connection that lost bytes stays dead when the path is back, as a stream must. */
export class Link {
  readonly to: string;
  address = '';
  isDead = false;
  private readonly port: number;
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((socket) => this.join(socket));

  /** @param port where the member listens */
  constructor(to: string, port: number) {
    this.to = to;
    this.port = port;
  }

  async open(): Promise<void> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening');
    this.address = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private join(from: Socket): void {
    const to = connect(this.port, '127.0.0.1');
    let isHoled = false;
    const passes = (): boolean => !(isHoled ||= this.isDead);
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      this.sockets.add(socket.setNoDelay());
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => void (passes() && other.write(chunk)));
      socket.on('close', () => {
        this.sockets.delete(socket);
        if (passes()) other.destroy();
      });
    }
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
