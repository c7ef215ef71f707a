import type { Announcement, Logger } from '../core/index.ts';
import { HectorError } from '../core/index.ts';
import type { Operation, Store, StoreState } from './store.ts';
import { StoreAnnouncements } from './store-announcement.ts';
import { ZooKeeperAnnouncement } from './zookeeper-announcement.ts';
import { unlessAborted } from './zookeeper-bell.ts';
import type { ZooKeeperConnection } from './zookeeper-connection.ts';
import { anyVersion } from './zookeeper-driver.ts';
import { type EnsembleOptions, ZooKeeperEnsemble } from './zookeeper-ensemble.ts';
import { foldersOf, removeEmptyFolders, transact, type Wish } from './zookeeper-transaction.ts';
import { storedValue, ZooKeeperTree } from './zookeeper-tree.ts';

export interface StoreOptions extends EnsembleOptions {
  /** Where keys start: `/tenants/a`, or '' for the root. */
  readonly root: string;
  /** That of the configuration. Folders that have become empty are removed below it and beside it, but none above. */
  readonly key: string;
  readonly logger: Logger;
}

/** Together with paths and versions they stay below the 1 MiB that a server takes. */
const limits = { operations: 500, bytes: 1_000_000, valueBytes: 1_000_000 };
/** All of it is read again, in case something was not told. */
const distrustMs = 45_000;
const attempts = 20;

export class ZooKeeperStore implements Store {
  readonly limits = limits;
  readonly #ensemble: ZooKeeperEnsemble;
  readonly #options: StoreOptions;
  readonly #announcements: StoreAnnouncements;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#ensemble = new ZooKeeperEnsemble(options);
    this.#announcements = new StoreAnnouncements(options.logger);
  }

  async read(key: string, signal: AbortSignal): Promise<StoreState> {
    const connection = await this.#connection(signal);
    await unlessAborted(connection.sync(), signal);
    using tree = this.#tree(connection, key);
    return await tree.read(signal);
  }

  async *follow(key: string, signal: AbortSignal): AsyncGenerator<StoreState> {
    try {
      const connection = await this.#connection(signal);
      using tree = this.#tree(connection, key);
      let trustedUntil = Date.now() + distrustMs;
      while (!signal.aborted) {
        yield await tree.read(signal);
        await tree.changed(signal, trustedUntil - Date.now());
        if (Date.now() < trustedUntil) continue;
        tree.distrust();
        trustedUntil = Date.now() + distrustMs;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async transact(
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string> | undefined> {
    const wishes = operations.map((operation): Wish => {
      const text = operation.type === 'put' ? operation.text : undefined;
      return { path: this.#path(operation.key), text, expected: { version: operation.version } };
    });
    const connection = await this.#connection(signal);
    await unlessAborted(connection.sync(), signal);
    const version = await unlessAborted(transact(connection, wishes, signal), signal);
    if (version === undefined) return undefined;
    await this.#tidy(
      connection,
      wishes.filter(({ text }) => text === undefined).map(({ path }) => path),
    );
    return new Map(operations.filter(({ type }) => type === 'put').map(({ key }) => [key, version]));
  }

  async keys(prefix: string, signal: AbortSignal): Promise<readonly string[]> {
    const connection = await this.#connection(signal);
    const root = this.#path(prefix);
    const keys: string[] = [];
    const visit = async (path: string): Promise<void> => {
      const node = await connection.children(path);
      if (!node) return;
      if (path !== root && (await this.#isEntry(connection, path, node.stat)))
        keys.push(`${prefix}${path.slice(root.length + 1)}`);
      for (const name of node.names) await visit(`${path}/${name}`);
    };
    await unlessAborted(visit(root), signal);
    return keys;
  }

  /** Without the text, which may be long, where its length says enough. */
  async #isEntry(
    connection: ZooKeeperConnection,
    path: string,
    { dataLength, numChildren }: { readonly dataLength: number; readonly numChildren: number },
  ): Promise<boolean> {
    if (dataLength > 0 || numChildren > 0) return dataLength > 0;
    return (await connection.data(path))?.data !== undefined;
  }

  async get(key: string, signal: AbortSignal): Promise<string | undefined> {
    const connection = await this.#connection(signal);
    const path = this.#path(key);
    const znode = await unlessAborted(connection.data(path), signal);
    return znode && storedValue(path, znode)?.text;
  }

  async put(key: string, text: string, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.byteLength(text);
    if (bytes > limits.valueBytes)
      throw new HectorError(
        'too_large',
        `"${key}" is not written to ${this.#ensemble.name}: it has ${bytes} bytes, and ${limits.valueBytes} are the most.`,
      );
    const connection = await this.#connection(signal);
    await unlessAborted(transact(connection, [{ path: this.#path(key), text }], signal), signal);
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    const connection = await this.#connection(signal);
    const root = this.#path(key);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const paths = await unlessAborted(below(connection, root), signal);
      if (paths.length === 0) {
        await this.#tidy(connection, [root]);
        return;
      }
      // What is in a folder goes before it; when something is added meanwhile, it is looked up again.
      paths.reverse();
      for (let start = 0; start < paths.length; start += limits.operations) {
        const changes = paths
          .slice(start, start + limits.operations)
          .map((path) => ({ type: 'remove', path, version: anyVersion }) as const);
        if (!(await unlessAborted(connection.change(changes), signal))) break;
      }
    }
    throw new HectorError(
      'store_unreachable',
      `"${root}" in ${this.#ensemble.name} is not removed: others write to it all the time.`,
    );
  }

  announce(key: string, text: string): Announcement {
    return this.#announcements.start(new ZooKeeperAnnouncement(this.#ensemble, this.#path(key)), text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#announcements[Symbol.asyncDispose]();
    await this.#ensemble[Symbol.asyncDispose]();
  }

  #connection(signal: AbortSignal): Promise<ZooKeeperConnection> {
    return this.#ensemble.connection(signal);
  }

  #tree(connection: ZooKeeperConnection, key: string): ZooKeeperTree {
    return new ZooKeeperTree(connection, this.#path(key), key.endsWith('/'));
  }

  /** In ZooKeeper's own form: with a slash before it, and none at its end. */
  #path(key: string): string {
    return `${this.#options.root}/${key.replace(/^\/|\/$/g, '')}`;
  }

  /** What was removed is removed already: when this fails there stay folders, and a folder is no entry. */
  async #tidy(connection: ZooKeeperConnection, removed: readonly string[]): Promise<void> {
    if (removed.length === 0) return;
    const depth = foldersOf(this.#path(this.#options.key)).length + 1;
    try {
      await removeEmptyFolders(connection, removed, depth);
    } catch (error) {
      this.#options.logger.debug({ error }, 'Empty folders stay in ZooKeeper');
    }
  }
}

/** A node and all below it, from above. */
async function below(connection: ZooKeeperConnection, path: string): Promise<string[]> {
  const node = await connection.children(path);
  if (!node) return [];
  const paths = [path];
  for (const name of node.names) paths.push(...(await below(connection, `${path}/${name}`)));
  return paths;
}
