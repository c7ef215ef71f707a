import { type errors, type JWTPayload, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from 'jose';
import {
  AuthError,
  type AuthScheme,
  type ExtensionContext,
  errorCode,
  errorMessage,
  HectorError,
  milliseconds,
  type Principal,
  unlessAborted,
} from '../../core/index.ts';
import { bearerToken, looksLikeJwt } from './bearer.ts';
import { type RemoteKeys, remoteKeys } from './jwks.ts';
import type { JwtOptions } from './jwt.ts';

const maxToleranceMs = 60_000;
/** How many keys are tried for a token that does not say which it is signed with. */
const maxCandidates = 8;

export async function jwtScheme(options: JwtOptions, { logger, signal, warn }: ExtensionContext): Promise<AuthScheme> {
  const { issuer, audience } = options;
  const url = parseUrl(options.jwks_url);
  const toleranceMs = milliseconds(options.clock_tolerance);
  if (toleranceMs > maxToleranceMs) {
    throw new HectorError(
      'auth_misconfigured',
      `clock_tolerance is ${options.clock_tolerance}, but may be at most 60s.`,
    );
  }
  if (issuer === undefined) warn('No issuer is set, so tokens of any issuer are taken that the keys fit. Set issuer.');
  if (audience === undefined) {
    warn('No audience is set, so tokens that were issued for other services are taken. Set audience.');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    warn(
      'The keys are fetched over http, so whoever is in between can put keys of their own in their place. Use https.',
    );
  }

  const keys = remoteKeys({ url, refreshMs: Math.max(milliseconds(options.refresh_interval), 1_000) });
  try {
    await unlessAborted(keys.fetch(), signal);
  } catch (error) {
    if (signal.aborted) {
      await keys[Symbol.asyncDispose]();
      throw error;
    }
    logger.warn({ err: error }, 'the keys of tokens could not be fetched yet');
    warn(`${errorMessage(error)} Until they can be, callers with a token are answered 503.`);
  }

  const checks = {
    algorithms: [...options.algorithms],
    clockTolerance: toleranceMs / 1000,
    requiredClaims: ['sub', 'exp'],
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  };
  return {
    securityScheme: { httpAuthSecurityScheme: { scheme: 'Bearer', bearerFormat: 'JWT' } },
    async authenticate(request, requestSignal) {
      const token = bearerToken(request);
      if (token === undefined || !looksLikeJwt(token)) return undefined;
      try {
        const { payload } = await unlessAborted(verify(token, keys, checks), requestSignal);
        refuseFuture(payload, toleranceMs);
        return principalOf(payload);
      } catch (error) {
        requestSignal.throwIfAborted();
        throw refusal(error);
      }
    },
    [Symbol.asyncDispose]: () => keys[Symbol.asyncDispose](),
  };
}

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new HectorError('auth_misconfigured', `jwks_url is "${text}", which is not a URL.`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}

/** Where several keys may be the token's, it is one of them. */
async function verify(token: string, { key }: RemoteKeys, checks: JWTVerifyOptions): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, key, checks);
  } catch (error) {
    if (errorCode(error) !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS') throw error;
    let tried = 0;
    for await (const candidate of error as errors.JWKSMultipleMatchingKeys) {
      if (++tried > maxCandidates) break;
      try {
        return await jwtVerify(token, candidate, checks);
      } catch (refused) {
        if (errorCode(refused) !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') throw refused;
      }
    }
    throw new AuthError('The signature of the token fits none of the keys that it may be of.');
  }
}

/** A token from the future was not issued by a clock that can be relied on. */
function refuseFuture({ iat }: JWTPayload, toleranceMs: number): void {
  if (iat === undefined) return;
  if (typeof iat !== 'number') throw new AuthError('The claim "iat" of the token is not a number.');
  if (iat * 1000 > Date.now() + toleranceMs) throw new AuthError('The token is issued in the future ("iat").');
}

function principalOf(claims: JWTPayload): Principal {
  const { sub, scope, scp } = claims;
  if (typeof sub !== 'string' || sub === '') throw new AuthError('The token names no subject ("sub").');
  return { subject: sub, scopes: scopesOf(scope ?? scp), claims };
}

/** RFC 8693 has one string, some identity providers a list. */
function scopesOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ').filter((scope) => scope !== '');
  return Array.isArray(value) ? value.filter((scope) => typeof scope === 'string') : [];
}

/** Whose fault it is: that of the token is a 401, anything else must not pass for one. */
function refusal(error: unknown): HectorError {
  const code = errorCode(error);
  if (code === 'unauthenticated' || code === 'auth_unavailable') return error as HectorError;
  if (code !== undefined && /^ERR_(JOSE|JWS|JWT|JWKS_(NO|MULTIPLE)_MATCHING)/.test(code)) {
    return new AuthError(`The token is not valid: ${errorMessage(error)}.`, { cause: error });
  }
  return new HectorError('auth_unavailable', `A token could not be checked: ${errorMessage(error)}.`, { cause: error });
}
