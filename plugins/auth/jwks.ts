import { createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { Agent, fetch } from 'undici';
import { errorCode, errorMessage, HectorError } from '../../core/index.ts';

export interface RemoteKeysOptions {
  readonly url: URL;
  /** How long fetched keys are used before they are fetched again. */
  readonly refreshMs: number;
  /** How long beyond that they are used while the endpoint does not answer. */
  readonly staleMs?: number;
  /** How long nothing is fetched for the sake of a key that is not there, or after a failure where keys are at hand. */
  readonly cooldownMs?: number;
  readonly timeoutMs?: number;
}

export interface RemoteKeys extends AsyncDisposable {
  /** The key of a token. Throws `auth_unavailable` when it is the endpoint's fault that there is none. */
  readonly key: JWTVerifyGetKey;
  /** Fetches the keys now. */
  fetch(): Promise<void>;
}

/** Where there are no keys at all, a failure is tried again after so long: somebody waits for every attempt. */
const eagerCooldownMs = 1_000;

/**
 * The keys of a JWKS endpoint: fetched once for all who wait, kept while the endpoint is down, and not fetched at the
 * pleasure of whoever sends tokens with made-up key ids.
 */
export function remoteKeys(options: RemoteKeysOptions): RemoteKeys {
  const { url, refreshMs, staleMs = 3_600_000, cooldownMs = 30_000, timeoutMs = 5_000 } = options;
  const agent = new Agent({ connections: 2, keepAliveTimeout: 4_000, maxResponseSize: 1024 ** 2 });
  const remote = createRemoteJWKSet(url, {
    timeoutDuration: timeoutMs,
    // When to fetch is decided here, where failures count as well.
    cooldownDuration: Number.POSITIVE_INFINITY,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    [customFetch]: ((address, init) =>
      fetch(address, { ...init, headers: [...init.headers], dispatcher: agent })) as FetchImplementation,
  });

  let fetchedAt: number | undefined;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let failure: HectorError | undefined;
  let fetching: Promise<void> | undefined;

  const age = () => (fetchedAt === undefined ? Number.POSITIVE_INFINITY : performance.now() - fetchedAt);
  const sinceAttempt = () => performance.now() - attemptedAt;
  const usable = () => age() < refreshMs + staleMs;

  const load = async (): Promise<void> => {
    try {
      await remote.reload();
      fetchedAt = performance.now();
      failure = undefined;
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? ` (${errorMessage(error.cause)})` : '';
      failure = new HectorError(
        'auth_unavailable',
        `The keys at ${url.origin}${url.pathname} cannot be fetched: ${errorMessage(error)}${cause}. Tokens cannot be checked without them.`,
        { cause: error },
      );
      throw failure;
    } finally {
      attemptedAt = performance.now();
    }
  };
  const reload = (): Promise<void> => {
    fetching ??= load().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  const ready = async (): Promise<void> => {
    if (age() < refreshMs) return;
    if (!usable()) {
      if (failure && sinceAttempt() < eagerCooldownMs) throw failure;
      return reload();
    }
    if (failure && sinceAttempt() < cooldownMs) return;
    const attempt = reload().catch(() => undefined);
    // While the endpoint is down nobody waits for it who has keys that will do.
    if (!failure) await attempt;
  };

  return {
    key: async (header, token) => {
      await ready();
      try {
        return await remote(header, token);
      } catch (error) {
        if (errorCode(error) !== 'ERR_JWKS_NO_MATCHING_KEY') throw error;
        if (sinceAttempt() >= cooldownMs) await reload();
        else if (failure) throw failure;
        else throw error;
        return await remote(header, token);
      }
    },
    fetch: reload,
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      await fetching?.catch(() => undefined);
    },
  };
}
