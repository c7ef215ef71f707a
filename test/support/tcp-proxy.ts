import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy on a loopback port of its own, that can misbehave like a network. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections open now. */
  readonly connections: number;
  /** Bytes pass again; new connections are taken. */
  heal(): void;
  /** Ends every connection at once with a reset, and refuses new ones until `heal`. */
  cut(): void;
  /** Ends every connection at once with a reset; new ones are taken. */
  reset(): void;
  /** Connections stay open and new ones are taken, but no byte passes, in either direction, until `heal`. What was held back is delivered then. */
  blackhole(): void;
  /** Every piece of data is held for so long. */
  delay(ms: number): void;
  /** Where new connections go. */
  target(port: number): void;
}

type Mode = 'pass' | 'cut' | 'blackhole';

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const upstreams = new Set<Socket>();
  let mode: Mode = 'pass';
  let delayMs = 0;
  let target = targetPort;

  const later = (run: () => void) => {
    if (delayMs > 0) setTimeout(run, delayMs);
    else run();
  };
  const pump = (from: Socket, to: Socket) => {
    from.on('data', (data) => {
      const forward = () => {
        if (mode === 'blackhole') {
          from.pause();
          from.unshift(data);
        } else if (!to.destroyed && !to.write(data)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      };
      later(forward);
    });
    // What was sent before the end arrives before it.
    from.on('end', () => later(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', (failed) => (failed ? to.destroy() : later(() => to.end())));
  };

  const server = createServer((client) => {
    if (mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: target, host: '127.0.0.1' });
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.on('close', () => pairs.delete(pair));
    upstreams.add(upstream);
    upstream.on('close', () => upstreams.delete(upstream));
    client.setNoDelay();
    upstream.setNoDelay();
    pump(client, upstream);
    pump(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const reset = () => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    heal() {
      mode = 'pass';
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    cut() {
      mode = 'cut';
      reset();
    },
    reset,
    blackhole() {
      mode = 'blackhole';
    },
    delay(ms) {
      delayMs = ms;
    },
    target(port) {
      target = port;
    },
    async [Symbol.asyncDispose]() {
      reset();
      for (const upstream of upstreams) upstream.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
