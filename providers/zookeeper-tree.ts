import { HectorError } from '../core/index.ts';
import type { StoredValue, StoreState } from './store.ts';
import { Bell, unlessAborted } from './zookeeper-bell.ts';
import type { Znode, ZooKeeperConnection } from './zookeeper-connection.ts';

interface Known extends Znode {
  /** Empty where only the node itself is wanted. */
  readonly children: ReadonlySet<string>;
}

/** Requests on their way at once. */
const atOnce = 256;
const patienceMs = 30_000;

/**
 * A copy of a node, or of all below it, that is brought up to date by reading what has changed. Each node is watched by the
 * request that reads it, and the server tells of a change before it answers anything that was read after it: so when the last
 * answer is there and nothing was told, the copy is the whole as it was at that moment.
 */
export class ZooKeeperTree implements Disposable {
  readonly #connection: ZooKeeperConnection;
  readonly #root: string;
  readonly #whole: boolean;
  readonly #nodes = new Map<string, Known>();
  /** Nodes that may have changed since they were read. */
  readonly #stale = new Set<string>();
  readonly #watches = new Map<string, () => void>();
  readonly #bell = new Bell();

  /** `whole`: with all that is below the root. */
  constructor(connection: ZooKeeperConnection, root: string, whole: boolean) {
    this.#connection = connection;
    this.#root = root;
    this.#whole = whole;
    this.#stale.add(root);
  }

  /** As of one moment, not before this was called. */
  async read(signal: AbortSignal): Promise<StoreState> {
    const deadline = Date.now() + patienceMs;
    while (this.#stale.size > 0) {
      if (Date.now() > deadline)
        throw new HectorError('store_unreachable', `"${this.#root}" in ZooKeeper changes faster than it can be read.`);
      const paths = [...this.#stale].slice(0, atOnce);
      // Before they are asked for: what is told meanwhile may come after the answer.
      for (const path of paths) this.#stale.delete(path);
      await unlessAborted(Promise.all(paths.map((path) => this.#readNode(path))), signal);
    }
    return this.#state();
  }

  /** Until something has changed, or the time is over. Throws when the connection is lost. */
  async changed(signal: AbortSignal, ms: number): Promise<void> {
    const { lost } = this.#connection;
    const deadline = Date.now() + ms;
    while (this.#stale.size === 0 && !signal.aborted && Date.now() < deadline) {
      lost.throwIfAborted();
      await this.#bell.wait([signal, lost], deadline - Date.now());
    }
  }

  /** All of it is read again, whatever was told. */
  distrust(): void {
    this.#stale.add(this.#root);
    for (const path of this.#nodes.keys()) this.#stale.add(path);
  }

  [Symbol.dispose](): void {
    for (const stop of this.#watches.values()) stop();
    this.#watches.clear();
  }

  async #readNode(path: string): Promise<void> {
    if (path !== this.#root && !this.#hasParent(path)) return;
    this.#watch(path);
    const connection = this.#connection;
    const [znode, children] = await Promise.all([
      connection.data(path, true),
      this.#whole ? connection.children(path, true) : undefined,
    ]);
    if (znode === undefined || (this.#whole && children === undefined)) {
      this.#forget(path);
      // The parents of others are told of their creation.
      if (path === this.#root && (await connection.exists(path, true))) this.#stale.add(path);
      return;
    }
    // Its parent was read in the meantime, and it is no longer there, or it is another one by now.
    if (path !== this.#root && !this.#hasParent(path)) return;
    const names = new Set(children?.names);
    for (const name of this.#nodes.get(path)?.children ?? []) if (!names.has(name)) this.#forget(`${path}/${name}`);
    for (const name of names) if (!this.#nodes.has(`${path}/${name}`)) this.#stale.add(`${path}/${name}`);
    this.#nodes.set(path, { ...znode, children: names });
  }

  #hasParent(path: string): boolean {
    const slash = path.lastIndexOf('/');
    return this.#nodes.get(path.slice(0, slash))?.children.has(path.slice(slash + 1)) ?? false;
  }

  #watch(path: string): void {
    if (this.#watches.has(path)) return;
    const stop = this.#connection.watch(path, () => {
      this.#stale.add(path);
      this.#bell.ring();
    });
    this.#watches.set(path, stop);
  }

  #forget(path: string): void {
    const known = this.#nodes.get(path);
    this.#nodes.delete(path);
    if (path !== this.#root) {
      this.#stale.delete(path);
      this.#watches.get(path)?.();
      this.#watches.delete(path);
    }
    for (const name of known?.children ?? []) this.#forget(`${path}/${name}`);
  }

  #state(): StoreState {
    const state = new Map<string, StoredValue>();
    for (const [path, znode] of this.#nodes) {
      if (this.#whole && path === this.#root) continue;
      const value = storedValue(path, znode);
      if (value) state.set(path.slice(this.#root.length + 1), value);
    }
    return state;
  }
}

/** `undefined` for a folder: a node that was given nothing, or that is empty and has others below it. */
export function storedValue(path: string, { data, stat }: Znode): StoredValue | undefined {
  if (data === undefined || (data.length === 0 && stat.numChildren > 0)) return undefined;
  return { text: textOf(path, data), version: versionOf(stat) };
}

export const versionOf = ({ mzxid }: Znode['stat']): string => mzxid.readBigUInt64BE().toString();

function textOf(path: string, data: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (cause) {
    throw new HectorError('config_unreadable', `The node "${path}" in ZooKeeper is not UTF-8 text.`, { cause });
  }
}
