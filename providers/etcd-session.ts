import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '@grpc/grpc-js';
import type { Etcd3, IWatchRequest, IWatchResponse } from 'etcd3';
import { connectEtcd, type EtcdClient, type EtcdTls } from './etcd-client.ts';
import { GrpcError, grpcError, grpcStatus, isUnreachable } from './etcd-errors.ts';

export interface EtcdTarget {
  /** `http://host:port` or `https://host:port`, of one cluster. */
  readonly endpoints: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: EtcdTls;
  /** How long any one operation may take. */
  readonly timeoutMs: number;
}

/** One call of etcd's. The options go with it: they carry who asks, and the end when nobody waits any more. */
export type EtcdCall<T> = (client: Etcd3, options: CallOptions) => Promise<T>;

/** Whatever one can make calls on. */
export interface EtcdCaller {
  call<T>(call: EtcdCall<T>, signal: AbortSignal): Promise<T>;
}

export interface WatchStream {
  write(request: IWatchRequest): void;
  /** Fulfilled with the reason once it has ended, however that came about. */
  readonly ended: Promise<Error>;
}

/**
 * A client of one member, that is given up at the first doubt. etcd3 would connect again by itself, without a deadline, and
 * gRPC keeps a socket that waits for an answer after it was told to close. So a session knows the sockets that were opened
 * on its behalf: `destroy` closes them, whatever they wait for.
 */
export class EtcdSession implements EtcdCaller {
  readonly address: string;
  readonly #target: EtcdTarget;
  readonly #client: EtcdClient;
  readonly #sockets = new Set<Socket>();
  readonly #destroying = new AbortController();
  #token: string | undefined;
  #destroyed: Promise<void> | undefined;

  private constructor(address: string, target: EtcdTarget, client: EtcdClient) {
    this.address = address;
    this.#target = target;
    this.#client = client;
  }

  /** Known to be reachable, and authenticated. */
  static async open(address: string, target: EtcdTarget, timeoutMs: number, signal: AbortSignal): Promise<EtcdSession> {
    const deadline = new Deadline(timeoutMs);
    const client = await connectEtcd(address, target.tls);
    const session = new EtcdSession(address, target, client);
    try {
      if (target.user === undefined) await session.#reach(deadline, signal);
      else await session.#authenticate(deadline, signal);
      return session;
    } catch (error) {
      await session.destroy();
      throw error;
    }
  }

  /** For the `net.client.socket` of a session that is connecting. */
  static took(session: EtcdSession, socket: Socket): void {
    const sockets = session.#sockets;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // What goes wrong is told to the call that needed the connection.
    socket.on('error', () => {});
    // It is about to connect, which would bring a destroyed one back.
    if (session.#destroying.signal.aborted) process.nextTick(() => socket.destroy());
  }

  get closed(): boolean {
    return this.#sockets.size === 0;
  }

  /** Ends what is under way. Fulfilled when nothing of it is left. */
  destroy(reason = new GrpcError(grpcStatus.unavailable, 'the connection was closed')): Promise<void> {
    this.#destroyed ??= this.#destroy(reason);
    return this.#destroyed;
  }

  async #destroy(reason: Error): Promise<void> {
    this.#destroying.abort(reason);
    do {
      for (const socket of this.#sockets) socket.destroy();
      // What is about to connect does so, and is told of the end of its socket.
      for (let turn = 0; turn < 4; turn++) await setImmediate();
    } while (this.#sockets.size > 0);
    // Not before: etcd3 lets a client that is still connecting go on for a second.
    this.#client.close();
  }

  /** Throws a GrpcError. One that is not answered in time takes the connection with it. */
  async call<T>(call: EtcdCall<T>, signal: AbortSignal): Promise<T> {
    const deadline = new Deadline(this.#target.timeoutMs);
    try {
      return await this.#attempt(call, deadline, signal);
    } catch (error) {
      // Tokens are forgotten by servers that restart and renewed with every change of the roles. Such a call had no effect.
      if (!(error instanceof GrpcError && /invalid auth token|revision of auth store is old/.test(error.message)))
        throw error;
      await this.#authenticate(deadline, signal);
      return this.#attempt(call, deadline, signal);
    }
  }

  /** It ends with the session. */
  watch(onMessage: (message: IWatchResponse) => void): WatchStream {
    const { signal } = this.#destroying;
    const opening = connecting.run(this, () => this.#client.etcd.watchClient.watch(this.#options(signal)));
    const ended = opening.then(
      (stream) =>
        new Promise<Error>((resolve) => {
          stream.on('data', onMessage);
          stream.on('error', (error) => resolve(grpcError(error)));
          stream.on('end', () => resolve(new GrpcError(grpcStatus.unavailable, 'the server ended the stream')));
        }),
      grpcError,
    );
    let over = false;
    void ended.then(() => {
      over = true;
    });
    const write = async (request: IWatchRequest) => {
      const stream = await opening.catch(() => undefined);
      if (!over) stream?.write(request);
    };
    return { ended, write: (request) => void write(request) };
  }

  async #attempt<T>(call: EtcdCall<T>, deadline: Deadline, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const late = setTimeout(() => void this.destroy(deadline.missed), deadline.left);
    const ends = [signal, this.#destroying.signal];
    const stop = new AbortController();
    let end = () => {};
    const ended = new Promise<never>((_, reject) => {
      end = () => {
        reject(signal.aborted ? signal.reason : this.#destroying.signal.reason);
        stop.abort();
      };
    });
    try {
      for (const each of ends) each.addEventListener('abort', end, { once: true });
      if (this.#destroying.signal.aborted) end();
      return await Promise.race([
        connecting.run(this, () => call(this.#client.etcd, this.#options(stop.signal))),
        ended,
      ]);
    } catch (error) {
      signal.throwIfAborted();
      throw grpcError(error);
    } finally {
      clearTimeout(late);
      for (const each of ends) each.removeEventListener('abort', end);
    }
  }

  /** With `hasleader`, a member that is cut off from the others refuses, where it would serve what is out of date. */
  #options(signal: AbortSignal): CallOptions {
    const token = this.#token === undefined ? {} : { token: this.#token };
    return this.#client.callOptions({ hasleader: 'true', ...token }, signal);
  }

  /** Any answer will do, a refusal too. */
  async #reach(deadline: Deadline, signal: AbortSignal): Promise<void> {
    const key = Buffer.from([0]);
    const asking: EtcdCall<unknown> = ({ kv }, options) =>
      kv.range({ key, serializable: true, keys_only: true }, options);
    await this.#attempt(asking, deadline, signal).catch((error: unknown) => {
      if (isUnreachable(error)) throw error;
    });
  }

  async #authenticate(deadline: Deadline, signal: AbortSignal): Promise<void> {
    const { user, password = '' } = this.#target;
    if (user === undefined) return;
    this.#token = undefined;
    try {
      const asking: EtcdCall<{ token: string }> = ({ auth }, options) =>
        auth.authenticate({ name: user, password }, options);
      this.#token = (await this.#attempt(asking, deadline, signal)).token;
    } catch (error) {
      // A server that asks nobody is fine with everybody; etcd's own clients take it like that.
      if (!(error instanceof GrpcError && /authentication is not enabled/.test(error.message))) throw error;
    }
  }
}

class Deadline {
  readonly #ms: number;
  readonly #at: number;

  constructor(ms: number) {
    this.#ms = ms;
    this.#at = performance.now() + ms;
  }

  get left(): number {
    return Math.max(1, this.#at - performance.now());
  }

  get missed(): GrpcError {
    return new GrpcError(grpcStatus.deadlineExceeded, `no answer within ${Math.round(this.#ms)} ms`);
  }
}

/** Whose call it is that opens a connection. */
const connecting = new AsyncLocalStorage<EtcdSession>();

subscribe('net.client.socket', (message) => {
  const session = connecting.getStore();
  if (session) EtcdSession.took(session, (message as { socket: Socket }).socket);
});
