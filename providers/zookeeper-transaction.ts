import { setTimeout as sleep } from 'node:timers/promises';
import { HectorError } from '../core/index.ts';
import type { Znode, ZooKeeperConnection } from './zookeeper-connection.ts';
import type { Change } from './zookeeper-driver.ts';
import { storedValue, versionOf } from './zookeeper-tree.ts';

/** What is to become of a node. */
export interface Wish {
  readonly path: string;
  /** `undefined`: it is to be no entry. */
  readonly text: string | undefined;
  /** The version that it must have, `undefined` for none; left out where anything will do. */
  readonly expected?: { readonly version: string | undefined };
}

/** Every time something was created or removed beside it. */
const attempts = 20;

/**
 * All of the wishes or none, in one transaction; `undefined` when one of them expects another version. The new version of every
 * node that was given a text, which is the same for all of them.
 *
 * What is there is looked up first, and each change carries the node's data version that was read together with the version
 * expected: so when the transaction goes through, nothing has come in between. (But for one thing, against which ZooKeeper has no
 * means: a node that was removed and made anew within these few milliseconds counts its data versions from 0 again.)
 */
export async function transact(
  connection: ZooKeeperConnection,
  wishes: readonly Wish[],
  signal: AbortSignal,
): Promise<string | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    signal.throwIfAborted();
    const znodes = await Promise.all(wishes.map(({ path }) => connection.data(path)));
    if (wishes.some((wish, index) => !fits(wish, znodes[index]))) return undefined;
    const changes = await plan(connection, wishes, znodes);
    signal.throwIfAborted();
    const results = await connection.change(changes);
    const stat = results?.find((result) => result.stat)?.stat;
    if (results) return stat ? versionOf(stat) : '0';
    await sleep(Math.random() * 20 * attempt, undefined, { signal });
  }
  throw new HectorError(
    'store_unreachable',
    `"${wishes[0]?.path}" in ZooKeeper is not written: nodes beside it are created and removed all the time.`,
  );
}

function fits({ path, expected }: Wish, znode: Znode | undefined): boolean {
  return expected === undefined || (znode && storedValue(path, znode))?.version === expected.version;
}

async function plan(
  connection: ZooKeeperConnection,
  wishes: readonly Wish[],
  znodes: readonly (Znode | undefined)[],
): Promise<Change[]> {
  const created = new Map<string, Buffer | undefined>();
  const changes: Change[] = [];
  const removed: { readonly path: string; readonly znode: Znode }[] = [];
  wishes.forEach(({ path, text }, index) => {
    const znode = znodes[index];
    if (text === undefined) {
      if (znode) removed.push({ path, znode });
    } else if (znode) {
      changes.push({ type: 'set', path, data: Buffer.from(text), version: znode.stat.version });
    } else created.set(path, Buffer.from(text));
  });
  for (const folder of await missingFolders(connection, [...created.keys()]))
    if (!created.has(folder)) created.set(folder, undefined);
  const creations = creationsOf(created, changes.length === 0);
  const removals = removalsOf(removed, created);
  return [...creations, ...changes, ...removals];
}

/** Of nodes that are to be created: those above them that are not there. */
async function missingFolders(connection: ZooKeeperConnection, paths: readonly string[]): Promise<string[]> {
  const folders = [...new Set(paths.flatMap(foldersOf))];
  const there = await Promise.all(folders.map((folder) => connection.exists(folder)));
  return folders.filter((_, index) => !there[index]);
}

/** Those above a node. When somebody else makes them at the same time, they may not be complete yet. */
export async function createFolders(connection: ZooKeeperConnection, path: string): Promise<void> {
  const missing = await missingFolders(connection, [path]);
  if (missing.length > 0)
    await connection.change(missing.map((folder) => ({ type: 'create', path: folder, data: undefined })));
}

/** `/a/b/c`: `/a`, `/a/b`. */
export function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1))
    folders.push(path.slice(0, slash));
  return folders;
}

function creationsOf(created: ReadonlyMap<string, Buffer | undefined>, needsStat: boolean): Change[] {
  // Sorted, a folder comes before what is in it.
  const paths = [...created.keys()].sort();
  const last = paths.at(-1);
  return paths.flatMap((path): Change[] => {
    const data = created.get(path);
    // Only the answer to `set` says which version the transaction has given.
    if (path === last && needsStat && data)
      return [
        { type: 'create', path, data: undefined },
        { type: 'set', path, data, version: 0 },
      ];
    return [{ type: 'create', path, data }];
  });
}

/** A node that has others below it, which stay, becomes a folder. */
function removalsOf(
  removed: readonly { readonly path: string; readonly znode: Znode }[],
  created: ReadonlyMap<string, unknown>,
): Change[] {
  const changed = new Map<string, number>();
  const count = (path: string, by: number) => {
    const folder = path.slice(0, path.lastIndexOf('/'));
    changed.set(folder, (changed.get(folder) ?? 0) + by);
  };
  for (const path of created.keys()) count(path, 1);
  // The other way round, what is in a folder comes before it.
  const backwards = removed.toSorted((a, b) => (a.path < b.path ? 1 : -1));
  return backwards.map(({ path, znode: { stat } }): Change => {
    if (stat.numChildren + (changed.get(path) ?? 0) > 0)
      return { type: 'set', path, data: undefined, version: stat.version };
    count(path, -1);
    return { type: 'remove', path, version: stat.version };
  });
}

/** Folders that have become empty, from below, but none of `depth` names or less. They are no entries; so that some stay when this fails is no harm. */
export async function removeEmptyFolders(
  connection: ZooKeeperConnection,
  paths: readonly string[],
  depth: number,
): Promise<void> {
  const folders = new Set(paths.flatMap((path) => foldersOf(path).slice(depth)));
  for (const path of [...folders].sort().reverse()) {
    const znode = await connection.data(path);
    if (!znode || znode.stat.numChildren > 0 || znode.data !== undefined) continue;
    await connection.change([{ type: 'remove', path, version: znode.stat.version }]);
  }
}
