import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { errorCode, errorMessage, HectorError } from '../core/index.ts';
import { etcdError, isUnreachable } from './etcd-errors.ts';
import { GrpcConnection, GrpcError, type GrpcStream, type GrpcTls } from './etcd-grpc.ts';
import { authenticate, type Method } from './etcd-messages.ts';
import type { Decoded, Encodable, Message } from './etcd-protobuf.ts';

export interface EtcdTarget {
  /** `http://host:port` or `https://host:port`, of one cluster. */
  readonly endpoints: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Paths of PEM files. They are read for every new connection, so renewed certificates are taken up. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly server_name?: string;
  };
  /** How long any one operation may take. */
  readonly timeoutMs: number;
}

/** Whatever one can call etcd's methods on. */
export interface EtcdCaller {
  call<Request extends Message, Response extends Message>(
    method: Method<Request, Response>,
    request: Encodable<Request>,
    signal: AbortSignal,
  ): Promise<Decoded<Response>>;
}

/** A connection to one member. When it is lost it is of no use any more. */
export class EtcdSession implements EtcdCaller {
  readonly address: string;
  readonly #target: EtcdTarget;
  readonly #connection: GrpcConnection;
  #token: string | undefined;

  private constructor(address: string, target: EtcdTarget, connection: GrpcConnection) {
    this.address = address;
    this.#target = target;
    this.#connection = connection;
  }

  /** Known to be reachable, and authenticated. */
  static async open(address: string, target: EtcdTarget, timeoutMs: number, signal: AbortSignal): Promise<EtcdSession> {
    const deadline = performance.now() + timeoutMs;
    const tls = address.startsWith('https:') ? await certificates(target.tls) : undefined;
    const session = new EtcdSession(address, target, await GrpcConnection.open(address, tls, timeoutMs, signal));
    try {
      await session.#authenticate(Math.max(1, deadline - performance.now()), signal);
      return session;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#connection.closed;
  }

  destroy(): void {
    this.#connection.destroy();
  }

  /** Throws a GrpcError. */
  async call<Request extends Message, Response extends Message>(
    method: Method<Request, Response>,
    request: Encodable<Request>,
    signal: AbortSignal,
  ): Promise<Decoded<Response>> {
    const deadline = performance.now() + this.#target.timeoutMs;
    const attempt = () =>
      this.#connection.call(method, request, {
        metadata: this.#metadata(),
        timeoutMs: Math.max(1, deadline - performance.now()),
        signal,
      });
    try {
      return await attempt();
    } catch (error) {
      // Tokens are forgotten by servers that restart and renewed with every change of the roles. Such a call had no effect.
      if (!(error instanceof GrpcError && /invalid auth token|revision of auth store is old/.test(error.message)))
        throw error;
      await this.#authenticate(Math.max(1, deadline - performance.now()), signal);
      return attempt();
    }
  }

  stream<Request extends Message, Response extends Message>(
    method: Method<Request, Response>,
    onMessage: (message: Decoded<Response>) => void,
  ): GrpcStream<Request> {
    return this.#connection.stream(method, this.#metadata(), onMessage);
  }

  /** With `hasleader`, a member that is cut off from the others refuses, where it would serve what is out of date. */
  #metadata(): Record<string, string> {
    return { hasleader: 'true', ...(this.#token === undefined ? {} : { token: this.#token }) };
  }

  async #authenticate(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { user, password = '' } = this.#target;
    if (user === undefined) return;
    try {
      const options = { metadata: { hasleader: 'true' }, timeoutMs, signal };
      const { token } = await this.#connection.call(authenticate, { name: user, password }, options);
      this.#token = token;
    } catch (error) {
      // A server that asks nobody is fine with everybody; etcd's own clients take it like that.
      if (!(error instanceof GrpcError && /authentication is not enabled/.test(error.message))) throw error;
    }
  }
}

/** The members of a cluster, of which one that answers is used. */
export class EtcdCluster implements EtcdCaller {
  readonly #target: EtcdTarget;
  #next: number;
  #shared: Promise<EtcdSession> | undefined;
  readonly #disposing = new AbortController();

  constructor(target: EtcdTarget) {
    this.#target = target;
    this.#next = Math.floor(Math.random() * target.endpoints.length);
  }

  get disposed(): AbortSignal {
    return this.#disposing.signal;
  }

  /** A connection of one's own. Throws once no member has answered within the time of one operation. */
  async open(signal: AbortSignal): Promise<EtcdSession> {
    const { endpoints, user, timeoutMs } = this.#target;
    const deadline = performance.now() + timeoutMs;
    const failures: Error[] = [];
    for (let left = endpoints.length; left > 0; left--) {
      const address = endpoints[this.#next % endpoints.length] as string;
      try {
        return await EtcdSession.open(
          address,
          this.#target,
          Math.max(1, (deadline - performance.now()) / left),
          signal,
        );
      } catch (error) {
        signal.throwIfAborted();
        this.#next++;
        const failure = etcdError(error, address, user);
        if (!isUnreachable(error) || error instanceof HectorError) throw failure;
        failures.push(failure);
      }
    }
    const [first] = failures;
    if (first && failures.length === 1) throw first;
    throw new HectorError('store_unreachable', failures.map(errorMessage).join(' '), { cause: first });
  }

  /** On the shared connection. A call that may have had an effect is not repeated. */
  async call<Request extends Message, Response extends Message>(
    method: Method<Request, Response>,
    request: Encodable<Request>,
    signal: AbortSignal,
  ): Promise<Decoded<Response>> {
    using both = joined(signal, this.disposed);
    const session = await this.#session(both.signal);
    try {
      return await session.call(method, request, both.signal);
    } catch (error) {
      both.signal.throwIfAborted();
      if (isUnreachable(error)) this.suspect(session);
      throw etcdError(error, session.address, this.#target.user);
    }
  }

  /** The next connection is made to another member, where there is one. */
  suspect(session: EtcdSession): void {
    session.destroy();
    if (this.#target.endpoints[this.#next % this.#target.endpoints.length] === session.address) this.#next++;
  }

  async dispose(): Promise<void> {
    this.#disposing.abort(new HectorError('disposed', 'The connection to etcd was closed.'));
    const session = await this.#shared?.catch(() => undefined);
    session?.destroy();
  }

  /** Its opening is shared, so it does not end with the one who was first to ask. */
  async #session(signal: AbortSignal): Promise<EtcdSession> {
    signal.throwIfAborted();
    const before = this.#shared;
    if (before) {
      const session = await aborting(before, signal);
      if (!session.closed) return session;
      if (this.#shared === before) this.#shared = undefined;
    }
    this.#shared ??= this.#opening();
    return aborting(this.#shared, signal);
  }

  #opening(): Promise<EtcdSession> {
    const opening = this.open(this.disposed);
    opening.catch(() => {
      if (this.#shared === opening) this.#shared = undefined;
    });
    return opening;
  }
}

/** AbortSignal.any would stay known to a signal that lives as long as the process. */
export function joined(first: AbortSignal, second: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const abort = () => controller.abort(first.aborted ? first.reason : second.reason);
  for (const signal of [first, second]) signal.addEventListener('abort', abort, { once: true });
  if (first.aborted || second.aborted) abort();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const signal of [first, second]) signal.removeEventListener('abort', abort);
    },
  };
}

async function aborting<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort: (() => void) | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        abort = () => reject(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
      }),
    ]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}

async function certificates({ server_name, ...paths }: EtcdTarget['tls']): Promise<GrpcTls> {
  const files: Record<string, Buffer> = {};
  for (const [option, path] of Object.entries(paths)) files[option] = await pem(option, path);
  try {
    const secureContext = createSecureContext(files);
    return server_name === undefined ? { secureContext } : { secureContext, servername: server_name };
  } catch (cause) {
    throw new HectorError(
      'config_unreadable',
      `The files that "tls" names for etcd (${Object.values(paths).join(', ')}) are not certificates and their key in ` +
        `PEM: ${errorMessage(cause)}.`,
      { cause },
    );
  }
}

async function pem(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new HectorError(
      'config_unreadable',
      `The file ${path} that "tls.${option}" names for etcd cannot be read (${errorCode(error) ?? errorMessage(error)}).`,
      { cause: error },
    );
  }
}
