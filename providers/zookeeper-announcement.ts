import { setTimeout as sleep } from 'node:timers/promises';
import { type Announcement, errorMessage, HectorError, type Logger } from '../core/index.ts';
import { Bell } from './zookeeper-bell.ts';
import type { ZooKeeperConnection } from './zookeeper-connection.ts';
import type { Change } from './zookeeper-driver.ts';
import type { ZooKeeperEnsemble } from './zookeeper-ensemble.ts';
import { createFolders } from './zookeeper-transaction.ts';

const shortestMs = 250;
const longestMs = 5_000;
const rivalMs = 1_000;
/** To write it while others do. */
const attempts = 20;

/** A node that lives as long as the session that made it; a new session makes it anew. */
export class ZooKeeperAnnouncement implements Announcement {
  readonly #ensemble: ZooKeeperEnsemble;
  readonly #path: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #bell = new Bell();
  readonly #running: Promise<void>;
  #text: string;
  /** The last that it was seen to belong to. */
  #placed: ZooKeeperConnection | undefined;

  constructor(ensemble: ZooKeeperEnsemble, path: string, text: string, logger: Logger) {
    this.#ensemble = ensemble;
    this.#path = path;
    this.#logger = logger;
    this.#text = text;
    this.#running = this.#run();
  }

  update(text: string): void {
    this.#text = text;
    this.#bell.ring();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let waitMs = shortestMs;
    while (!signal.aborted) {
      try {
        const connection = await this.#ensemble.connection(signal);
        await this.#keep(connection, () => {
          waitMs = shortestMs;
        });
      } catch (error) {
        if (signal.aborted) return;
        const fields = { path: this.#path, error: errorMessage(error) };
        if (waitMs === shortestMs)
          this.#logger.warn(fields, 'What this process announces is not in the store at the moment. It is tried again');
        await sleep(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
        waitMs = Math.min(longestMs, waitMs * 2);
      }
    }
  }

  /** Returns when it is disposed, with the node removed; throws when the connection is lost. */
  async #keep(connection: ZooKeeperConnection, kept: () => void): Promise<void> {
    const { signal } = this.#stop;
    // Whoever removes or overwrites it makes no difference for long.
    const unwatch = connection.watch(this.#path, () => this.#bell.ring());
    try {
      while (!signal.aborted) {
        await this.#put(connection);
        kept();
        await this.#bell.wait([signal, connection.lost]);
        if (!signal.aborted) connection.lost.throwIfAborted();
      }
    } finally {
      unwatch();
      if (signal.aborted) await this.#remove(connection);
    }
  }

  async #put(connection: ZooKeeperConnection): Promise<void> {
    const path = this.#path;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const znode = await connection.data(path, true);
      const data = Buffer.from(this.#text);
      const mine = znode !== undefined && connection.owns(znode.stat);
      if (mine) this.#placed = connection;
      if (mine && znode.data?.equals(data)) return;
      if (mine) {
        await connection.change([{ type: 'set', path, data, version: znode.stat.version }]);
        continue;
      }
      await createFolders(connection, path);
      // Another process of this name: they take turns, slowly.
      if (znode && this.#placed === connection) await sleep(rivalMs, undefined, { signal: this.#stop.signal });
      // That of a session which was lost, and lives on for a while, gives way.
      const other: readonly Change[] = znode ? [{ type: 'remove', path, version: znode.stat.version }] : [];
      await connection.change([...other, { type: 'create', path, data, ephemeral: true }]);
    }
    throw new HectorError('store_unreachable', `"${path}" in ZooKeeper is written by another process all the time.`);
  }

  async #remove(connection: ZooKeeperConnection): Promise<void> {
    try {
      const znode = await connection.data(this.#path);
      if (znode && connection.owns(znode.stat))
        await connection.change([{ type: 'remove', path: this.#path, version: znode.stat.version }]);
    } catch (error) {
      // It goes when its session ends: at once when the connection is closed, else when it expires.
      this.#logger.debug({ path: this.#path, error: errorMessage(error) }, 'What was announced is not removed yet');
    }
  }
}
