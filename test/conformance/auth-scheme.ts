import assert from 'node:assert/strict';
import { type AuthRequest, type AuthScheme, errorCode, type Principal } from '../../core/index.ts';

export interface AuthCase {
  /** What is special about it: `an expired token`. */
  readonly name: string;
  /** Header names are in lower case, as Node gives them. */
  request(): AuthRequest | Promise<AuthRequest>;
}

export interface AuthSchemeKit {
  /** Registers a test with whatever runner you use: `test` of node:test, `it` of others. */
  test(name: string, body: () => Promise<void>): unknown;
  create(): Promise<AuthScheme> | AuthScheme;
  /** Credentials that are good, and whose they are. */
  readonly valid: readonly (AuthCase & { readonly principal: Partial<Principal> & Pick<Principal, 'subject'> })[];
  /** Credentials of this scheme that are not. */
  readonly invalid: readonly AuthCase[];
  /** Requests without credentials of this scheme; one without any is always tried. */
  readonly absent?: readonly AuthCase[];
}

const cardForms = [
  'apiKeySecurityScheme',
  'httpAuthSecurityScheme',
  'oauth2SecurityScheme',
  'openIdConnectSecurityScheme',
  'mtlsSecurityScheme',
];

/** What the contract asks of every auth scheme. */
export function testAuthScheme({ test, create, valid, invalid, absent = [] }: AuthSchemeKit): void {
  const withScheme = (name: string, body: (scheme: AuthScheme) => Promise<void>) =>
    test(`auth scheme: ${name}`, async () => {
      const scheme = await create();
      try {
        await body(scheme);
      } finally {
        await scheme[Symbol.asyncDispose]?.();
      }
    });

  withScheme('is advertised in one of the forms of an agent card', async ({ securityScheme }) => {
    const [form, ...others] = Object.keys(securityScheme);
    assert.deepEqual(others, []);
    assert.ok(form !== undefined && cardForms.includes(form), `${form} is one of ${cardForms.join(', ')}`);
    assert.deepEqual(JSON.parse(JSON.stringify(securityScheme)), securityScheme);
  });

  for (const { name, request, principal: expected } of valid) {
    withScheme(`${name} is taken`, async (scheme) => {
      const principal = await authenticate(scheme, await request());
      assert.ok(principal, 'there is a principal');
      assert.ok(principal.subject !== '');
      assert.ok(principal.scopes.every((scope) => typeof scope === 'string'));
      assert.equal(typeof principal.claims, 'object');
      for (const [key, value] of Object.entries(expected))
        assert.deepEqual(principal[key as keyof Principal], value, key);
    });
  }

  withScheme('the same credentials are always the same subject, and nobody else', async (scheme) => {
    const requests = await Promise.all(valid.map(({ request }) => request()));
    const rounds = await Promise.all(
      [1, 2, 3].map(() => Promise.all(requests.map((request) => authenticate(scheme, request)))),
    );
    const subjects = valid.map(({ principal }) => principal.subject);
    for (const principals of rounds)
      assert.deepEqual(
        principals.map((principal) => principal?.subject),
        subjects,
      );
  });

  for (const { name, request } of invalid) {
    withScheme(`${name} is refused, and the error does not repeat it`, async (scheme) => {
      const credentials = await request();
      const error = await authenticate(scheme, credentials).then(
        () => assert.fail('it was taken, or passed on to the next scheme'),
        (thrown: unknown) => thrown,
      );
      assert.equal(errorCode(error), 'unauthenticated', String(error));
      for (const secret of secretsOf(credentials)) {
        assert.ok(!String((error as Error).stack).includes(secret), 'the error holds no credentials');
      }
    });
  }

  const none: AuthCase = {
    name: 'a request without credentials',
    request: () => ({ headers: {}, query: new URLSearchParams() }),
  };
  for (const { name, request } of [none, ...absent]) {
    withScheme(`${name} is left to the next scheme`, async (scheme) => {
      assert.equal(await authenticate(scheme, await request()), undefined);
    });
  }
}

function authenticate(scheme: AuthScheme, request: AuthRequest): Promise<Principal | undefined> {
  return scheme.authenticate(request, new AbortController().signal);
}

/** Header values without their scheme's name, as far as they are long enough to tell. */
function secretsOf({ headers }: AuthRequest): string[] {
  const values = Object.values(headers).flatMap((value) => value ?? []);
  return values.map((value) => value.replace(/^\w+ +/, '')).filter((value) => value.length >= 8);
}
