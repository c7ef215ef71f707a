import type { Event, Exception, Stat } from 'node-zookeeper-client';
import { errorMessage, HectorError } from '../core/index.ts';
import { unlessAborted } from './zookeeper-bell.ts';
import {
  anyVersion,
  type Change,
  type Driver,
  type DriverOptions,
  type Loss,
  loadDriver,
  packetBytes,
  transactionOf,
} from './zookeeper-driver.ts';

export interface ConnectionOptions extends DriverOptions {
  /** For people: `ZooKeeper at 127.0.0.1:2181`. */
  readonly name: string;
  /** A server that is asked and says nothing for so long is given up. */
  readonly timeoutMs: number;
  /** That it takes no longer to open. */
  readonly openMs: number;
}

export interface Znode {
  /** `undefined` where there never was any, as in a folder. */
  readonly data: Buffer | undefined;
  readonly stat: Stat;
}

export interface ChangeResult {
  /** Of a `set`. */
  readonly stat?: Stat;
}

export interface Children {
  readonly names: readonly string[];
  readonly stat: Stat;
}

type ChangeError = ChangeResult & { readonly err?: number };
type Callback<T> = (error: Error | Exception | null, value: T) => void;
type Watcher = () => void;

const noNode = -101;
const noAuth = -102;
const badVersion = -103;
const nodeExists = -110;
const notEmpty = -111;
const invalidAcl = -114;

/** `jute.maxbuffer` where nobody has changed it. A server cuts the connection of who sends more. */
const maxPacketBytes = 1024 ** 2 - 1;
const farewellMs = 1_000;

/**
 * One TCP connection with a session of its own. Once it is in doubt it is lost for good, and all that waits for it fails: it
 * closes, or the server leaves a question unanswered. It asks by itself every few seconds.
 */
export class ZooKeeperConnection implements AsyncDisposable {
  readonly #options: ConnectionOptions;
  readonly #driver: Driver;
  readonly #lost = new AbortController();
  readonly #pending = new Set<(error: Error) => void>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  #silence: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  /** Throws when the server has not taken the session in time. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<ZooKeeperConnection> {
    let opened: ZooKeeperConnection | undefined;
    const driver = await loadDriver(options, (loss, reason) => {
      if (opened) opened.#lose(loss, reason);
    });
    signal.throwIfAborted();
    const connection = new ZooKeeperConnection(options, driver);
    opened = connection;
    try {
      await connection.#open(signal);
      return connection;
    } catch (error) {
      connection.#lose('lost', 'it was not opened');
      await driver.closed;
      throw error;
    }
  }

  private constructor(options: ConnectionOptions, driver: Driver) {
    this.#options = options;
    this.#driver = driver;
  }

  /** Aborts when it is lost or closed, with the reason. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether an ephemeral node belongs to this session. */
  owns({ ephemeralOwner }: Stat): boolean {
    return ephemeralOwner.equals(this.#driver.client.getSessionId());
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { openMs, timeoutMs } = this.#options;
    const { client } = this.#driver;
    const timer = setTimeout(() => this.#lose('lost', `it did not answer within ${openMs} ms`), openMs);
    try {
      const connected = new Promise<void>((resolve) => client.once('connected', resolve));
      this.#driver.connect();
      // Also the first answer, so that it is known to be one that serves.
      const ready = connected.then(() => this.sync());
      ready.catch(() => undefined);
      await unlessAborted(ready, AbortSignal.any([signal, this.lost]));
    } finally {
      clearTimeout(timer);
    }
    const everyMs = Math.min(timeoutMs, client.getSessionTimeout() / 3);
    this.#heartbeat = setInterval(() => {
      this.exists('/').catch((error: unknown) => this.#lose('lost', errorMessage(error)));
    }, everyMs);
  }

  /** What it reads from now on is as new as anything that anybody had written before. */
  async sync(): Promise<void> {
    // The driver has no `sync`. This goes through the leader like any write, though it changes nothing.
    await this.change([{ type: 'check', path: '/', version: anyVersion }]);
  }

  /** `watched`: its next change is told to those who watch the path, and there is none between the answer and that. */
  data(path: string, watched = false): Promise<Znode | undefined> {
    const { client } = this.#driver;
    return this.#read(path, (done: Callback<Znode>) => {
      const answer = (error: Error | Exception | null, data: Buffer | undefined, stat: Stat) =>
        done(error, { data, stat });
      if (watched) client.getData(path, this.#onEvent, answer);
      else client.getData(path, answer);
    });
  }

  /** Their names, and how the node itself is. */
  children(path: string, watched = false): Promise<Children | undefined> {
    const { client } = this.#driver;
    return this.#read(path, (done: Callback<Children>) => {
      const answer = (error: Error | Exception | null, names: string[], stat: Stat) => done(error, { names, stat });
      if (watched) client.getChildren(path, this.#onEvent, answer);
      else client.getChildren(path, answer);
    });
  }

  async exists(path: string, watched = false): Promise<boolean> {
    const { client } = this.#driver;
    const stat = await this.#read(path, (done: Callback<Stat | null>) => {
      if (watched) client.exists(path, this.#onEvent, done);
      else client.exists(path, done);
    });
    return stat !== undefined && stat !== null;
  }

  /** Calls back whenever something that was read as `watched` has changed, until the function returned is called. */
  watch(path: string, watcher: Watcher): () => void {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#watchers.get(path) === watchers) this.#watchers.delete(path);
    };
  }

  /**
   * All of them or none; `undefined` when they do not fit what is there: a version is another one, a node that should be there
   * is not, or the other way round.
   */
  async change(changes: readonly Change[]): Promise<readonly ChangeResult[] | undefined> {
    const bytes = packetBytes(changes);
    if (bytes > maxPacketBytes)
      throw new HectorError(
        'too_large',
        `${this.#options.name} is not sent a transaction of ${bytes} bytes: it takes ${maxPacketBytes}.`,
      );
    let path = '';
    try {
      return await this.#ask((done: Callback<readonly ChangeResult[]>) =>
        transactionOf(this.#driver, changes).commit((error, results: ChangeError[] | undefined) => {
          path = changes[results?.findIndex(({ err }) => error && err === codeOf(error)) ?? -1]?.path ?? '';
          done(error, results ?? []);
        }),
      );
    } catch (error) {
      if ([noNode, badVersion, nodeExists, notEmpty].includes(codeOf(error))) return undefined;
      throw this.#explained(error, 'change', path);
    }
  }

  async #read<T>(path: string, start: (done: Callback<T>) => void): Promise<T | undefined> {
    try {
      return await this.#ask(start);
    } catch (error) {
      if (codeOf(error) === noNode) return undefined;
      throw this.#explained(error, 'read', path);
    }
  }

  #ask<T>(start: (done: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.lost.throwIfAborted();
      this.#pending.add(reject);
      this.#silence ??= setTimeout(() => this.#listenOnce(), this.#options.timeoutMs);
      start((error, value) => {
        this.#pending.delete(reject);
        if (this.#pending.size > 0) this.#silence?.refresh();
        else {
          clearTimeout(this.#silence);
          this.#silence = undefined;
        }
        if (error) reject(error);
        else resolve(value);
      });
    });
  }

  /** What came while this process was busy itself lies in the socket, and is read before the immediate. */
  #listenOnce(): void {
    const silence = this.#silence;
    this.#silence = undefined;
    const asked = [...this.#pending];
    setImmediate(() => {
      if (silence === undefined || this.lost.aborted) return;
      const { timeoutMs } = this.#options;
      if (asked.every((each) => this.#pending.has(each))) this.#lose('lost', `it has not answered for ${timeoutMs} ms`);
      else if (this.#pending.size > 0) this.#silence ??= setTimeout(() => this.#listenOnce(), timeoutMs);
    });
  }

  readonly #onEvent = (event: Event): void => {
    for (const watcher of [...(this.#watchers.get(event.getPath()) ?? [])]) watcher();
  };

  #lose(loss: Loss, reason: string): void {
    const { name, auth } = this.#options;
    this.#end(
      loss === 'refused'
        ? new HectorError('forbidden', `${name} cannot be used as "${auth?.user}": ${reason}.`)
        : new HectorError('store_unreachable', `${name} is not available: ${reason}.`),
    );
    this.#driver.drop();
  }

  #end(reason: Error): void {
    if (this.lost.aborted) return;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#silence);
    this.#driver.mute();
    this.#lost.abort(reason);
    for (const reject of this.#pending) reject(reason);
    this.#pending.clear();
    this.#watchers.clear();
  }

  #explained(error: unknown, what: 'read' | 'change', path: string): unknown {
    const { name, auth } = this.#options;
    const who = auth ? `the user "${auth.user}" with this password` : 'those who give no credentials';
    const advice = auth ? 'Check `auth` and the ACL' : 'Set `auth`, or change the ACL';
    if (codeOf(error) === noAuth)
      return new HectorError(
        'forbidden',
        `${name} does not let ${who} ${what} "${path || '/'}". ${advice} of the node.`,
        {
          cause: error,
        },
      );
    if (codeOf(error) === invalidAcl)
      return new HectorError('forbidden', `${name} does not accept ${who} as the owner of "${path}". Check \`auth\`.`, {
        cause: error,
      });
    if (Number.isNaN(codeOf(error))) return error;
    return new HectorError('store_unreachable', `${name} does not ${what} "${path || '/'}": ${errorMessage(error)}.`, {
      cause: error,
    });
  }

  /** Ends the session at once, and with it what is there for as long as it lives. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.lost.aborted) {
      this.#end(new HectorError('store_unreachable', `The connection to ${this.#options.name} is closed.`));
      this.#driver.client.close();
    }
    const farewell = setTimeout(() => this.#driver.drop(), farewellMs);
    await this.#driver.closed;
    clearTimeout(farewell);
  }
}

function codeOf(error: unknown): number {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : Number.NaN;
}
