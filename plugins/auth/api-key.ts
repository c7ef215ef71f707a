import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ApiKey,
  AuthError,
  type AuthRequest,
  anonymous,
  authScheme,
  definePlugin,
  HectorError,
  type Principal,
  type Static,
  Type,
} from '../../core/index.ts';
import { bearerToken, looksLikeJwt } from './bearer.ts';

interface KnownKey {
  readonly digest: Buffer;
  readonly principal: Principal;
}

/** Keys that callers send in a header of their own or as `Authorization: Bearer …`. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/auth-api-key',
  provides: [
    authScheme({
      name: 'api-key',
      description: 'Keys that are listed in the configuration',
      options: Type.Object(
        {
          keys: Type.Array(ApiKey, {
            minItems: 1,
            description:
              'A key, or { key, subject, scopes, roles }, with sha256 in place of key if you like. Two keys of one subject let callers change from one to the other',
          }),
          header: Type.String({
            pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            default: 'X-API-Key',
            description: 'The header that holds the key; Authorization: Bearer is taken as well',
          }),
        },
        { additionalProperties: false },
      ),
      create({ keys, header }, { warn }) {
        for (const [index, entry] of keys.entries()) checkEntry(entry, index, warn);
        const known = knownKeys(keys);
        const headerName = header.toLowerCase();
        return {
          securityScheme: { apiKeySecurityScheme: { location: 'header', name: header } },
          async authenticate(request) {
            const presented = presentedKey(request, headerName);
            if (presented === undefined) return undefined;
            const principal = findKey(known, digestOf(presented.key, 'latin1'))?.principal;
            if (principal) return principal;
            if (presented.mayBeJwt) return undefined;
            throw new AuthError(`The ${presented.place} holds no key that is known here.`);
          },
        };
      },
    }),
  ],
});

function presentedKey(request: AuthRequest, headerName: string) {
  const own = headerName === 'authorization' ? undefined : request.headers[headerName];
  if (own !== undefined) {
    if (typeof own !== 'string') throw new AuthError(`The header ${headerName} is there more than once.`);
    return { key: own.trim(), place: `header ${headerName}`, mayBeJwt: false };
  }
  const token = bearerToken(request);
  // Another scheme's credentials, unless somebody has chosen a key that looks like them.
  return token === undefined ? undefined : { key: token, place: 'bearer token', mayBeJwt: looksLikeJwt(token) };
}

/** Below that a key is found by trying. */
const leastLength = 8;

function checkEntry(entry: Static<typeof ApiKey>, index: number, warn: (message: string) => void): void {
  const holder = typeof entry === 'string' ? { key: entry } : entry;
  const place = `API key ${index + 1} of the list`;
  if ('subject' in holder && holder.subject === anonymous.subject) {
    throw new HectorError(
      'auth_misconfigured',
      `${place} has the subject "${anonymous.subject}", which stands for nobody. Give it a name of its own.`,
    );
  }
  if (!('key' in holder)) return;
  if (holder.key !== holder.key.trim()) {
    throw new HectorError(
      'auth_misconfigured',
      `${place} begins or ends with a space or line break, which no caller can send. Remove it.`,
    );
  }
  if (holder.key.length < leastLength) {
    warn(`${place} has fewer than ${leastLength} characters, so it is guessable. Use one that is long and random.`);
  }
}

function knownKeys(keys: readonly Static<typeof ApiKey>[]): KnownKey[] {
  const known: KnownKey[] = [];
  for (const entry of keys) {
    const holder = typeof entry === 'string' ? { key: entry, scopes: [], roles: [] } : entry;
    const { subject, scopes, roles } = { subject: undefined, ...holder };
    const digest = 'sha256' in holder ? Buffer.from(holder.sha256, 'hex') : digestOf(holder.key, 'utf8');
    if (known.some((other) => other.digest.equals(digest))) {
      throw new HectorError(
        'auth_misconfigured',
        `Two of the API keys are the same${subject ? `; one is that of "${subject}"` : ''}. List each key once.`,
      );
    }
    // Of the digest: it is stored beside tasks and written to logs.
    const credential = `key:${digest.toString('hex').slice(0, 12)}`;
    const claims = Object.freeze(roles.length > 0 ? { roles: Object.freeze([...roles]) } : {});
    const principal = { subject: subject ?? credential, scopes: Object.freeze([...scopes]), claims, credential };
    known.push({ digest, principal: Object.freeze(principal) });
  }
  return known;
}

/**
 * The entry of a digest. Compares with every entry, and each in constant time, so that how long it takes says nothing
 * about how much of a key is right or where in the list it stands.
 */
export function findKey<K extends { readonly digest: Buffer }>(
  known: readonly K[],
  digest: Buffer,
  equal: (a: Buffer, b: Buffer) => boolean = timingSafeEqual,
): K | undefined {
  let found: K | undefined;
  for (const entry of known) {
    const same = equal(entry.digest, digest);
    found = same ? entry : found;
  }
  return found;
}

/** Headers come as latin1, whatever bytes they are: digested as such, they are the bytes that were sent. */
function digestOf(key: string, encoding: 'utf8' | 'latin1'): Buffer {
  return createHash('sha256').update(key, encoding).digest();
}
