import { errorCode, errorMessage, HectorError } from '../core/index.ts';
import { unlessAborted } from './zookeeper-bell.ts';
import { ZooKeeperConnection } from './zookeeper-connection.ts';
import type { Credentials, Server } from './zookeeper-driver.ts';

export interface EnsembleOptions {
  readonly servers: readonly Server[];
  readonly sessionTimeoutMs: number;
  readonly timeoutMs: number;
  readonly auth?: Credentials;
}

/** The servers, any of which will do. All who ask share one connection; when it is lost, the next who asks opens another. */
export class ZooKeeperEnsemble implements AsyncDisposable {
  /** For people: `ZooKeeper at zk1:2181, zk2:2181`. */
  readonly name: string;
  readonly #options: EnsembleOptions;
  readonly #disposed = new AbortController();
  #current: Promise<ZooKeeperConnection> | undefined;

  constructor(options: EnsembleOptions) {
    this.#options = options;
    this.name = nameOf(options.servers);
  }

  /** Rejects, within `timeoutMs` or little more, when none of the servers takes us. */
  async connection(signal: AbortSignal): Promise<ZooKeeperConnection> {
    signal.throwIfAborted();
    this.#disposed.signal.throwIfAborted();
    this.#current ??= this.#open();
    return unlessAborted(this.#current, signal);
  }

  #open(): Promise<ZooKeeperConnection> {
    const opening = this.#openAny();
    const forget = () => {
      if (this.#current === opening) this.#current = undefined;
    };
    opening.then(({ lost }) => (lost.aborted ? forget() : lost.addEventListener('abort', forget)), forget);
    return opening;
  }

  async #openAny(): Promise<ZooKeeperConnection> {
    const { servers, timeoutMs, ...rest } = this.#options;
    // Half of the time at most, so that a server which has just come back is not waited for by a connection that was made before.
    const openMs = Math.max(500, timeoutMs / Math.max(2, servers.length));
    const deadline = Date.now() + timeoutMs;
    const reasons: string[] = [];
    for (const server of shuffled(servers)) {
      if (reasons.length > 0 && Date.now() > deadline) break;
      const options = { ...rest, auth: rest.auth, server, timeoutMs, openMs, name: nameOf([server]) };
      try {
        return await ZooKeeperConnection.open(options, this.#disposed.signal);
      } catch (error) {
        this.#disposed.signal.throwIfAborted();
        if (servers.length === 1 || errorCode(error) === 'forbidden') throw error;
        reasons.push(errorMessage(error));
      }
    }
    throw new HectorError('store_unreachable', `${this.name} is not available. ${reasons.join(' ')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new HectorError('store_unreachable', `The connection to ${this.name} is closed.`));
    const connection = await this.#current?.catch(() => undefined);
    await connection?.[Symbol.asyncDispose]();
  }
}

function nameOf(servers: readonly Server[]): string {
  const hosts = servers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  return `ZooKeeper at ${hosts.join(', ')}`;
}

/** So that the replicas of a fleet do not all go to the same server. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
