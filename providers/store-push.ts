import { type ConfigContent, type ConfigProvider, errorMessage, HectorError, type Logger } from '../core/index.ts';
import type { Operation, Store } from './store.ts';
import { checkEntryPath, isPrefix, prefixRevision, type StoreContent, storeContent } from './store-content.ts';
import {
  describeGuard,
  type Guard,
  guardBytes,
  guardName,
  guardText,
  isHalfWritten,
  mayTakeOver,
} from './store-guard.ts';

interface Target {
  readonly source: string;
  readonly key: string;
  readonly logger?: Logger;
}

/** How long a push that failed takes to say so. */
const farewellMs = 5_000;

/**
 * Compare-and-set of the content of a key. What is compared is the revision; each operation then carries the version that
 * was read with it, so that a change in between fails the transaction. Only what differs is written.
 */
export function storePush(store: Store, target: Target): NonNullable<ConfigProvider['write']> {
  const { source, key } = target;
  return async (content, expected, signal) => {
    const wanted = wantedTexts(target, content);
    const now = storeContent(key, await store.read(key, signal));
    compare(target, now, expected);
    const operations = differences(key, wanted, now);
    if (operations.length === 0 && !(now.guard && isHalfWritten(now.guard.push))) return now.revision;
    checkSizes(store, target, operations);
    if (isPrefix(key)) return pushEntries(store, target, now, operations, signal);
    const versions = await store.transact(operations, signal);
    if (!versions) throw await overtaken(store, target);
    return versionOf(versions, key, source);
  };
}

function wantedTexts({ source, key }: Target, { text, entries }: ConfigContent): ReadonlyMap<string, string> {
  if (!isPrefix(key)) {
    if (entries)
      throw new HectorError(
        'invalid_content',
        `${source} takes one text: its key does not end in "/", so it has no entries.`,
      );
    return new Map([['', text]]);
  }
  if (!entries || text !== '')
    throw new HectorError('invalid_content', `${source} takes entries and no text: its key ends in "/".`);
  for (const path of entries.keys()) checkEntryPath(key, path);
  return entries;
}

function compare(target: Target, now: StoreContent, expected: string | undefined): void {
  const push = now.guard?.push;
  // The half of a push is nobody's revision: whoever pushes next goes by what was complete before it.
  const half = push && isHalfWritten(push) ? push : undefined;
  if (half && !mayTakeOver(half)) throw conflict(target, `a push of ${describeGuard(half)} is going on there`);
  const revision = half ? half.from : now.revision;
  if ((expected ?? missingRevision(target.key)) === revision) return;
  throw conflict(
    target,
    half ? `a push from revision ${revision} was given up half-way there` : whatIsThere(now),
    expected,
  );
}

const missingRevision = (key: string): string => storeContent(key, new Map()).revision;

function differences(key: string, wanted: ReadonlyMap<string, string>, { values }: StoreContent): Operation[] {
  const operations: Operation[] = [];
  for (const [path, text] of wanted) {
    const value = values.get(path);
    if (value?.text !== text) operations.push({ type: 'put', key: `${key}${path}`, text, version: value?.version });
  }
  for (const [path, { version }] of values)
    if (!wanted.has(path)) operations.push({ type: 'remove', key: `${key}${path}`, version });
  return operations;
}

async function pushEntries(
  store: Store,
  target: Target,
  now: StoreContent,
  operations: readonly Operation[],
  signal: AbortSignal,
): Promise<string> {
  const { source, key } = target;
  const from = now.guard && isHalfWritten(now.guard.push) ? now.guard.push.from : now.revision;
  const values = new Map<string, { readonly version: string }>(now.values);
  const batches = packed(store, key, operations);
  let guard = now.guard?.version;
  let written = 0;
  const guarded = (state: Guard['state'], written: number): Operation => ({
    type: 'put',
    key: `${key}${guardName}`,
    text: guardText({ state, entries: operations.length, written, from }),
    version: guard,
  });
  try {
    for (const [index, batch] of batches.entries()) {
      const state = index === batches.length - 1 ? 'done' : 'writing';
      const versions = await store.transact([guarded(state, written + batch.length), ...batch], signal);
      if (!versions) throw await overtaken(store, target);
      guard = versionOf(versions, `${key}${guardName}`, source);
      written += batch.length;
      for (const operation of batch) {
        const path = operation.key.slice(key.length);
        if (operation.type === 'remove') values.delete(path);
        else values.set(path, { version: versionOf(versions, operation.key, source) });
      }
    }
  } catch (error) {
    // Not before one of its transactions is known to be in: what is there may be complete, and nobody may say otherwise.
    if (guard !== now.guard?.version) await abandon(store, target, guarded('abandoned', written));
    throw error;
  }
  return prefixRevision(values);
}

/** So that the next push need not wait until the guard has aged. It does where this cannot be written. */
async function abandon(store: Store, { source, logger }: Target, guard: Operation): Promise<void> {
  try {
    await store.transact([guard], AbortSignal.timeout(farewellMs));
  } catch (error) {
    logger?.warn(
      { source, error: errorMessage(error) },
      'A push failed half-way and could not say so in the store. Another one can take its place in a minute',
    );
  }
}

/** In as few transactions as take the operations and, in each, the guard. */
function packed({ limits }: Store, key: string, operations: readonly Operation[]): Operation[][] {
  const most = limits.bytes - reserved(key);
  let batch: Operation[] = [];
  const batches = [batch];
  let bytes = 0;
  for (const operation of operations) {
    const size = sizeOf(operation);
    if (batch.length > 0 && (batch.length + 1 >= limits.operations || bytes + size > most)) {
      batch = [];
      batches.push(batch);
      bytes = 0;
    }
    batch.push(operation);
    bytes += size;
  }
  return batches;
}

const reserved = (key: string): number => Buffer.byteLength(key) + guardName.length + guardBytes;

const sizeOf = (operation: Operation): number =>
  Buffer.byteLength(operation.key) + (operation.type === 'put' ? Buffer.byteLength(operation.text) : 0);

function checkSizes({ limits }: Store, { source, key }: Target, operations: readonly Operation[]): void {
  for (const operation of operations) {
    if (operation.type !== 'put') continue;
    const size = Buffer.byteLength(operation.text);
    const room = limits.bytes - Buffer.byteLength(operation.key) - (isPrefix(key) ? reserved(key) : 0);
    const most = Math.min(limits.valueBytes, room);
    if (size <= most) continue;
    const [what, advice] = isPrefix(key)
      ? [`its entry "${operation.key.slice(key.length)}" has`, 'Divide it into several entries, or make it shorter.']
      : [
          'the document has',
          `Use a key that ends in "/" ("${key}/"), with an entry for each agent, or make it shorter.`,
        ];
    throw new HectorError(
      'too_large',
      `${source} is not written: ${what} ${size} bytes, and the store takes ${most} in one value. ${advice}`,
    );
  }
}

/** A transaction has failed: says what is there by now. */
async function overtaken(store: Store, target: Target): Promise<HectorError> {
  try {
    const now = storeContent(target.key, await store.read(target.key, AbortSignal.timeout(farewellMs)));
    const push = now.guard?.push;
    if (push && isHalfWritten(push)) return conflict(target, `a push of ${describeGuard(push)} is half written there`);
    return conflict(target, `it was changed at the same time: ${whatIsThere(now)}`);
  } catch (cause) {
    return conflict(target, 'it was changed at the same time', undefined, cause);
  }
}

const whatIsThere = ({ missing, revision }: StoreContent): string =>
  missing ? 'there is nothing at its key' : `it is at revision ${revision} now`;

function conflict({ source }: Target, what: string, expected?: string, cause?: unknown): HectorError {
  const instead = expected === undefined ? '' : `, not at ${expected}`;
  return new HectorError(
    'conflict',
    `${source} is not written: ${what}${instead}. Read it again and apply the change to what it says then.`,
    { cause },
  );
}

function versionOf(versions: ReadonlyMap<string, string>, key: string, source: string): string {
  const version = versions.get(key);
  if (version === undefined) throw new Error(`${source}: the store does not say which version it gave to "${key}".`);
  return version;
}
