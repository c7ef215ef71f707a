import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { clientsKnow } from './close-server.ts';

/** A TCP proxy on a loopback port of its own, that can misbehave like a network. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections open now, as the clients see it. */
  readonly connections: number;
  /** Bytes pass again; new connections are taken. */
  heal(): void;
  /** Ends every connection at once with a reset, and refuses new ones until `heal`. */
  cut(): void;
  /** Ends every connection at once with a reset; new ones are taken. */
  reset(): void;
  /**
   * Connections stay open and new ones are taken, but nothing passes, in either direction, until `heal`: no byte, and no
   * word of an end either. What was held back is delivered then.
   */
  blackhole(): void;
  /** Every piece of data is held for so long. */
  delay(ms: number): void;
  /** Where new connections go. */
  target(port: number): void;
}

interface Network {
  mode: 'pass' | 'cut' | 'blackhole';
  delayMs: number;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const network: Network = { mode: 'pass', delayMs: 0 };
  const directions = new Set<Direction>();
  const clients = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let target = targetPort;

  const direct = (from: Socket, to: Socket) => {
    const direction = new Direction(from, to, network);
    directions.add(direction);
    to.on('close', () => directions.delete(direction));
  };
  const known = (socket: Socket, all: Set<Socket>) => {
    socket.setNoDelay();
    all.add(socket);
    socket.on('close', () => all.delete(socket));
  };
  const server = createServer((client) => {
    if (network.mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: target, host: '127.0.0.1' });
    known(client, clients);
    known(upstream, upstreams);
    direct(client, upstream);
    direct(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const reset = () => {
    // One that is already ending cannot be reset: Node then never closes its handle, and the process never ends.
    for (const client of clients) {
      if (client.writableEnded) client.destroy();
      else client.resetAndDestroy();
    }
    for (const upstream of upstreams) upstream.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return clients.size;
    },
    heal() {
      network.mode = 'pass';
      for (const direction of directions) direction.deliver();
    },
    cut() {
      network.mode = 'cut';
      reset();
    },
    reset,
    blackhole() {
      network.mode = 'blackhole';
    },
    delay(ms) {
      network.delayMs = ms;
    },
    target(port) {
      target = port;
    },
    async [Symbol.asyncDispose]() {
      reset();
      server.close();
      await once(server, 'close');
      await clientsKnow();
    },
  };
}

/** More than that is left in the sender's hands. */
const mostHeldBytes = 8 * 1024 ** 2;

/**
 * What goes one way on one connection: it arrives in the order in which it was sent, the end last, however long it is held.
 * The sender is read all the while, since a socket that is not read does not tell of its end.
 */
class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #network: Network;
  readonly #held: { readonly what: Buffer | 'end' | 'failure'; readonly due: number }[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, network: Network) {
    this.#from = from;
    this.#to = to;
    this.#network = network;
    from.on('data', (data) => this.#hold(data));
    from.on('end', () => this.#hold('end'));
    // Its 'close' says that it failed.
    from.on('error', () => {});
    from.on('close', (failed) => this.#hold(failed ? 'failure' : 'end'));
    to.on('drain', () => this.deliver());
    to.on('close', () => clearTimeout(this.#timer));
  }

  /** What may pass by now. */
  deliver(): void {
    clearTimeout(this.#timer);
    while (this.#network.mode === 'pass' && !this.#to.destroyed && !this.#to.writableNeedDrain) {
      const next = this.#held[0];
      if (!next) return;
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.deliver(), Math.ceil(wait));
        return;
      }
      this.#held.shift();
      if (next.what === 'failure') this.#to.destroy();
      else if (next.what === 'end') this.#to.end();
      else this.#write(next.what);
    }
  }

  #hold(what: Buffer | 'end' | 'failure'): void {
    if (this.#to.destroyed) return;
    this.#held.push({ what, due: performance.now() + this.#network.delayMs });
    if (typeof what !== 'string') this.#heldBytes += what.length;
    if (this.#heldBytes > mostHeldBytes) this.#from.pause();
    this.deliver();
  }

  #write(data: Buffer): void {
    this.#heldBytes -= data.length;
    if (this.#heldBytes <= mostHeldBytes) this.#from.resume();
    if (this.#to.writable) this.#to.write(data);
  }
}
