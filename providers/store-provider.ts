import { type ConfigDocument, type ConfigProvider, HectorError, type Logger } from '../core/index.ts';
import type { Store } from './store.ts';
import { storeAnnex } from './store-annex.ts';
import { type StoreContent, storeContent } from './store-content.ts';
import { describeGuard, type Guard, guardName, isHalfWritten } from './store-guard.ts';
import { storePush } from './store-push.ts';

export interface StoreProviderOptions {
  /** Where documents come from, for people: `consul:hector/production`. */
  readonly source: string;
  /** One document, or with a `/` at its end everything below it. */
  readonly key: string;
  readonly logger?: Logger;
}

/** A push that does not get on for so long is told about. */
const patienceMs = 3_000;
const late = Symbol('late');

/**
 * What the key-value stores have in common. Below a key that ends in `/` a push that takes several transactions is read
 * when its last one is in, and until then the document before it stands; one that dies half-way is never read.
 */
export function storeProvider(store: Store, { source, key, logger }: StoreProviderOptions): ConfigProvider {
  if (key.replaceAll('/', '') === '')
    throw new HectorError('invalid_key', `"${key}" is no key for a configuration: name one, like "hector/config".`);
  return {
    watch: (signal) => watch(store, { source, key, ...(logger ? { logger } : {}) }, signal),
    write: storePush(store, { source, key, ...(logger ? { logger } : {}) }),
    annex: storeAnnex(store, key),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function* watch(
  store: Store,
  { source, key, logger }: StoreProviderOptions,
  signal: AbortSignal,
): AsyncGenerator<ConfigDocument> {
  if (signal.aborted) return;
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const states = store.follow(key, stop.signal)[Symbol.asyncIterator]();
  let pending: Promise<IteratorResult<Awaited<ReturnType<Store['read']>>>> | undefined;
  let last: ConfigDocument | undefined;
  let stall: Stall | undefined;
  try {
    while (!signal.aborted) {
      pending ??= states.next();
      const step = await within(pending, stall && !stall.told ? stall.since + patienceMs - Date.now() : undefined);
      if (step === late) {
        if (!stall) continue;
        if (!last) throw halfWritten(source, key, stall.guard);
        stall.told = true;
        logger?.warn(
          { source, key: `${key}${guardName}`, ...stall.guard },
          'The configuration is half written. The one before it goes on until somebody pushes again',
        );
        continue;
      }
      pending = undefined;
      if (step.done) return;
      const now = storeContent(key, step.value);
      stall = stalled(now, stall);
      if (!stall) last = { ...now.content, source, revision: now.revision, ...(now.missing ? { missing: true } : {}) };
      // Also the same as before, or the one that still stands: that the source was reached is worth knowing.
      if (last) yield last;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    stop.abort();
    // Its end is all that is waited for: how it ended matters to nobody who has left.
    await pending?.catch(() => undefined);
    await states.return?.();
  }
}

interface Stall {
  readonly guard: Guard;
  readonly version: string;
  readonly since: number;
  told: boolean;
}

/** A guard that moves is a push that gets on, and starts the wait anew. */
function stalled({ guard }: StoreContent, before: Stall | undefined): Stall | undefined {
  if (!guard || !isHalfWritten(guard.push)) return undefined;
  if (before?.version === guard.version) return before;
  return { guard: guard.push, version: guard.version, since: Date.now(), told: false };
}

function halfWritten(source: string, key: string, guard: Guard): HectorError {
  return new HectorError(
    'half_written',
    `${source} is half written: a push of ${describeGuard(guard)} has not ended. Push again (the revision that it ` +
      `expects is ${guard.from}), or remove the key "${key}${guardName}" if what is there is complete.`,
  );
}

async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<T | typeof late> {
  if (ms === undefined) return promise;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), late);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
