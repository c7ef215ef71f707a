import { authScheme, definePlugin, duration, type Static, Type } from '../../core/index.ts';

/** With public keys only: `none` proves nothing, and a key that everybody may read must not be taken for a shared secret. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const JwtOptions = Type.Object(
  {
    jwks_url: Type.String({
      pattern: '^https?://',
      description: 'Where the identity provider publishes its keys',
    }),
    issuer: Type.Optional(Type.String({ minLength: 1, description: 'What the claim "iss" must be' })),
    audience: Type.Optional(
      Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
        description: 'What the claim "aud" must contain; of several, one',
      }),
    ),
    algorithms: Type.Array(Type.Enum(algorithms), {
      minItems: 1,
      default: algorithms,
      description: 'Signature algorithms that are taken',
    }),
    clock_tolerance: duration('30s', 'How far the clocks may be apart; at most 60s'),
    refresh_interval: duration('10m', 'How often the keys are fetched again'),
  },
  { additionalProperties: false },
);
export type JwtOptions = Static<typeof JwtOptions>;

const jwt = authScheme({
  name: 'jwt',
  description: 'Access tokens that an identity provider has signed',
  options: JwtOptions,
  // Its libraries are loaded where it is used, not at every start.
  create: async (options, context) => (await import('./jwt-scheme.ts')).jwtScheme(options, context),
});

/** Access tokens that are JWTs, checked with the keys of a JWKS endpoint. */
export default definePlugin({ apiVersion: 1, name: 'hector/auth-jwt', provides: [jwt] });
