import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What has passed between Hector and Postgres. */
export interface PgMeter extends AsyncDisposable {
  readonly port: number;
  /** Times the server said that it is ready for the next: each is a round trip that was waited for. */
  readonly roundTrips: number;
  /** What was sent to the server, of statements and their values. */
  readonly bytesUp: number;
}

const readyForQuery = 'Z'.charCodeAt(0);

/** Stands before a Postgres and counts; nothing is held back. */
export async function startPgMeter(target: number): Promise<PgMeter> {
  const sockets = new Set<Socket>();
  const counts = { roundTrips: 0, bytesUp: 0 };
  const server = createServer((client) => {
    const upstream = connect({ port: target, host: '127.0.0.1' });
    for (const socket of [client, upstream]) {
      socket.setNoDelay();
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (data) => {
      counts.bytesUp += data.length;
    });
    const count = messages((type) => {
      if (type === readyForQuery) counts.roundTrips++;
    });
    upstream.on('data', count);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get roundTrips() {
      return counts.roundTrips;
    },
    get bytesUp() {
      return counts.bytesUp;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The server's messages: a byte that says which, and a length that counts itself. */
function messages(seen: (type: number) => void): (data: Buffer) => void {
  let head = Buffer.alloc(0);
  let skip = 0;
  return (data) => {
    let at = 0;
    while (at < data.length) {
      if (skip > 0) {
        const step = Math.min(skip, data.length - at);
        skip -= step;
        at += step;
        continue;
      }
      const wanted = 5 - head.length;
      head = Buffer.concat([head, data.subarray(at, at + wanted)]);
      at += Math.min(wanted, data.length - at);
      if (head.length < 5) continue;
      seen(head[0] as number);
      skip = head.readInt32BE(1) - 4;
      head = Buffer.alloc(0);
    }
  };
}
