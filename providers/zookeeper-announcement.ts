import { setTimeout as sleep } from 'node:timers/promises';
import { HectorError } from '../core/index.ts';
import type { AnnouncedKey, KeepCall } from './store-announcement.ts';
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
export class ZooKeeperAnnouncement implements AnnouncedKey {
  readonly store = 'ZooKeeper';
  readonly key: string;
  readonly #ensemble: ZooKeeperEnsemble;
  /** Where it is kept, and watched, so that there is no need to look now and then. */
  #home: { readonly connection: ZooKeeperConnection; leave(): void } | undefined;
  /** The last that it was seen to belong to. */
  #placed: ZooKeeperConnection | undefined;

  constructor(ensemble: ZooKeeperEnsemble, path: string) {
    this.#ensemble = ensemble;
    this.key = path;
  }

  retryMs(failures: number): number {
    return Math.min(longestMs, shortestMs * 2 ** (failures - 1)) * (0.5 + Math.random());
  }

  async keep(call: KeepCall): Promise<void> {
    try {
      this.#home?.connection.lost.throwIfAborted();
      this.#home ??= this.#settle(await this.#ensemble.connection(call.signal), call);
      await this.#put(this.#home.connection, call);
    } catch (error) {
      if (!call.signal.aborted) this.#leave();
      throw error;
    }
  }

  async forget(): Promise<void> {
    const connection = this.#leave();
    if (!connection) return;
    const znode = await connection.data(this.key);
    if (znode && connection.owns(znode.stat))
      await connection.change([{ type: 'remove', path: this.key, version: znode.stat.version }]);
  }

  #settle(connection: ZooKeeperConnection, { wake }: KeepCall) {
    const { lost } = connection;
    // Whoever removes or overwrites it makes no difference for long.
    const unwatch = connection.watch(this.key, wake);
    lost.addEventListener('abort', wake);
    return {
      connection,
      leave() {
        unwatch();
        lost.removeEventListener('abort', wake);
      },
    };
  }

  #leave(): ZooKeeperConnection | undefined {
    const home = this.#home;
    this.#home = undefined;
    home?.leave();
    return home?.connection;
  }

  async #put(connection: ZooKeeperConnection, { text, signal }: KeepCall): Promise<void> {
    const path = this.key;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const znode = await connection.data(path, true);
      const data = Buffer.from(text());
      const mine = znode !== undefined && connection.owns(znode.stat);
      if (mine) this.#placed = connection;
      if (mine && znode.data?.equals(data)) return;
      if (mine) {
        await connection.change([{ type: 'set', path, data, version: znode.stat.version }]);
        continue;
      }
      await createFolders(connection, path);
      // Another process of this name: they take turns, slowly.
      if (znode && this.#placed === connection) await sleep(rivalMs, undefined, { signal });
      // That of a session which was lost, and lives on for a while, gives way.
      const other: readonly Change[] = znode ? [{ type: 'remove', path, version: znode.stat.version }] : [];
      await connection.change([...other, { type: 'create', path, data, ephemeral: true }]);
    }
    throw new HectorError('store_unreachable', `"${path}" in ZooKeeper is written by another process all the time.`);
  }
}
