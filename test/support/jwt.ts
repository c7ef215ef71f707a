import type { TestContext } from 'node:test';
import type { AuthRequest, AuthScheme, Principal } from '../../core/index.ts';
import { type RemoteKeysOptions, remoteKeys } from '../../plugins/auth/jwks.ts';
import plugin from '../../plugins/auth/jwt.ts';
import { createInstance, extensionContext, type TestContextOf } from './extension.ts';
import { IdentityProvider } from './identity-provider.ts';

type Cleanup = Pick<TestContext, 'after'>;

export const bearer = (token: string): AuthRequest => ({
  headers: { authorization: `Bearer ${token}` },
  query: new URLSearchParams(),
});

/** Options that leave nothing unchecked. */
export const strict = ({ url, issuer, audience }: IdentityProvider) => ({ jwks_url: url, issuer, audience });

export async function provider(t: Cleanup, alg?: string): Promise<IdentityProvider> {
  const own = await IdentityProvider.start(alg);
  t.after(() => own.close());
  return own;
}

export interface TestedScheme extends TestContextOf<'auth'> {
  readonly instance: AuthScheme;
  ask(token: string): Promise<Principal | undefined>;
}

export async function scheme(t: Cleanup, own: IdentityProvider, options: object = {}): Promise<TestedScheme> {
  const made = extensionContext<'auth'>({ name: 'jwt' });
  const instance = await createInstance<'auth'>(plugin, { ...strict(own), ...options }, made);
  t.after(() => instance[Symbol.asyncDispose]?.());
  const ask = (token: string) => instance.authenticate(bearer(token), new AbortController().signal);
  return { ...made, instance, ask };
}

/** The keys of a provider alone, with delays that a test can await. */
export function keysOf(t: Cleanup, own: IdentityProvider, wish: Partial<RemoteKeysOptions> = {}) {
  const keys = remoteKeys({ url: new URL(own.url), refreshMs: 60_000, cooldownMs: 30_000, ...wish });
  t.after(() => keys[Symbol.asyncDispose]());
  return { ...keys, find: async (kid?: string) => keys.key({ alg: 'ES256', ...(kid && { kid }) }, {} as never) };
}

/** A clock that can be put forward: what a cache measures its age with. */
export function clock(t: TestContext): (ms: number) => void {
  const now = performance.now.bind(performance);
  let ahead = 0;
  t.mock.method(performance, 'now', () => now() + ahead);
  return (ms) => {
    ahead += ms;
  };
}
