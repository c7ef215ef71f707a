import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { Agent, request } from 'undici';
import { errorCode, errorMessage, HectorError } from '../../core/index.ts';

export interface RemoteKeysOptions {
  readonly url: URL;
  /** How long fetched keys are used before they are fetched again. */
  readonly refreshMs: number;
  /** How long beyond that they are used while the endpoint does not answer. */
  readonly staleMs?: number;
  /** How long nothing is fetched for the sake of a key that is not there, or after a failure where keys are at hand. */
  readonly cooldownMs?: number;
  /** How long the endpoint may take. */
  readonly timeoutMs?: number;
  /** How long a caller waits for that. */
  readonly patienceMs?: number;
}

export interface RemoteKeys extends AsyncDisposable {
  /** The key of a token. Throws `auth_unavailable` when it is the endpoint's fault that there is none. */
  readonly key: JWTVerifyGetKey;
  /** Fetches the keys now. */
  fetch(): Promise<void>;
}

interface Fetching {
  readonly done: Promise<void>;
  /** Fails when callers have waited long enough, though the fetch goes on. */
  readonly soon: Promise<void>;
}

/** Where there are no keys at all, a failure is tried again after so long: somebody waits for every attempt. */
const eagerCooldownMs = 1_000;
const maxBytes = 1024 ** 2;

/**
 * The keys of a JWKS endpoint: fetched once for all who wait, kept while the endpoint is down, and not fetched at the
 * pleasure of whoever sends tokens with made-up key ids.
 */
export function remoteKeys(options: RemoteKeysOptions): RemoteKeys {
  const { url, refreshMs, staleMs = 3_600_000, cooldownMs = 30_000, timeoutMs = 5_000, patienceMs = 1_000 } = options;
  const agent = new Agent({ connections: 2, keepAliveTimeout: 4_000, maxResponseSize: maxBytes });

  let keySet: JWTVerifyGetKey | undefined;
  let fetchedAt: number | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let failure: HectorError | undefined;
  let fetching: Fetching | undefined;

  const age = () => (fetchedAt === undefined ? Number.POSITIVE_INFINITY : performance.now() - fetchedAt);
  const sinceAttempt = () => performance.now() - attemptedAt;
  const unavailable = (problem: string, options?: ErrorOptions) =>
    new HectorError(
      'auth_unavailable',
      `The keys at ${url.origin}${url.pathname} cannot be fetched: ${problem}. Tokens cannot be checked without them.`,
      options,
    );

  const load = async (): Promise<void> => {
    try {
      keySet = createLocalJWKSet(await fetchKeys(url, agent, timeoutMs));
      fetchedAt = performance.now();
      failure = undefined;
    } catch (error) {
      failure = unavailable(errorMessage(error), { cause: error });
      throw failure;
    } finally {
      attemptedAt = performance.now();
    }
  };

  /** The fetch under way, or one that begins now. */
  const reload = (): Fetching => {
    if (fetching) return fetching;
    const done = load();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(unavailable(`there is no answer after ${patienceMs} ms`)), patienceMs);
    });
    const soon = Promise.race([done, late]);
    // Perhaps nobody waits.
    soon.catch(() => undefined);
    const end = () => {
      clearTimeout(timer);
      fetching = undefined;
    };
    done.then(end, end);
    fetching = { done, soon };
    return fetching;
  };

  /** Returns when there are keys that may be used, the latest if they can be had. */
  const ready = async (): Promise<void> => {
    if (age() < refreshMs) return;
    if (age() >= refreshMs + staleMs) {
      if (failure && sinceAttempt() < eagerCooldownMs) throw failure;
      return reload().soon;
    }
    if (failure && sinceAttempt() < cooldownMs) return;
    const { soon } = reload();
    // While the endpoint is down nobody waits for it who has keys that will do.
    if (!failure) await soon.catch(() => undefined);
  };

  const find: JWTVerifyGetKey = (header, token) => {
    if (!keySet) throw failure ?? unavailable('they have not been asked for');
    return keySet(header, token);
  };

  return {
    key: async (header, token) => {
      await ready();
      try {
        return await find(header, token);
      } catch (error) {
        if (errorCode(error) !== 'ERR_JWKS_NO_MATCHING_KEY') throw error;
        if (sinceAttempt() < cooldownMs) throw failure ?? error;
        await reload().soon;
        return await find(header, token);
      }
    },
    fetch: () => reload().done,
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      await fetching?.done.catch(() => undefined);
    },
  };
}

/** Follows no redirect: whom the keys are believed from is for the configuration to say. Asks for no compression: the limit is for what is parsed. */
async function fetchKeys(url: URL, dispatcher: Agent, timeoutMs: number): Promise<JSONWebKeySet> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const headers = { accept: 'application/json, application/jwk-set+json' };
    const { statusCode, body } = await request(url, { dispatcher, signal, headers });
    const text = await body.text();
    if (statusCode >= 300 && statusCode < 400) {
      throw new Error(`it redirects (${statusCode}), which is not followed; set jwks_url to where the keys are`);
    }
    if (statusCode !== 200) throw new Error(`it answered ${statusCode}`);
    return parseKeys(text);
  } catch (error) {
    if (signal.aborted) throw new Error(`there is no answer after ${timeoutMs} ms`, { cause: error });
    if (errorCode(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
      throw new Error(`the answer is larger than ${maxBytes / 1024 ** 2} MiB`, { cause: error });
    }
    throw error;
  }
}

/** What it is instead of a key set is not repeated: it may be anything. */
function parseKeys(text: string): JSONWebKeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error('the answer is not JSON');
  }
  const { keys } = (parsed ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('the answer has no list of keys');
  return { keys };
}
