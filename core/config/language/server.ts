import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { byteSize, comingSection, duration, optionalSection, section } from './common.ts';

const keyHolder = {
  subject: Type.String({ minLength: 1, description: 'Who the holder is; tasks and conversations belong to it' }),
  scopes: Type.Array(Type.String(), { default: [] }),
  roles: Type.Array(Type.String(), { default: [] }),
};

export const ApiKey = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Object({ key: Type.String({ minLength: 1 }), ...keyHolder }, { additionalProperties: false }),
  Type.Object(
    {
      sha256: Type.String({ pattern: '^[0-9a-fA-F]{64}$', description: 'Of the key as UTF-8, in hexadecimal' }),
      ...keyHolder,
    },
    { additionalProperties: false },
  ),
]);

const Auth = optionalSection(
  {
    enabled: Type.Boolean({ default: false }),
    jwks_url: Type.Optional(Type.String({ description: 'Short for a scheme of type jwt' })),
    issuer: Type.Optional(Type.String({ description: 'What the claim "iss" of tokens must be' })),
    audience: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String())], {
        description: 'What the claim "aud" of tokens must contain; of several, one',
      }),
    ),
    api_keys: Type.Optional(Type.Array(ApiKey, { description: 'Short for a scheme of type api-key' })),
    algorithms: Type.Optional(Type.Array(Type.String(), { description: 'Signature algorithms that are taken' })),
    clock_tolerance: Type.Optional(Type.String({ description: 'How far the clocks may be apart; at most 60s' })),
    refresh_interval: Type.Optional(Type.String({ description: 'How often the keys of jwks_url are fetched again' })),
    client_id: Type.Optional(
      Type.String({ description: 'Told by /health: the client that a console in a browser logs its user in as' }),
    ),
    require_auth: Type.Boolean({
      default: true,
      description: 'false: callers without credentials are let in as anonymous',
    }),
    excluded_paths: Type.Array(Type.String({ pattern: '^/' }), {
      default: [],
      description: 'Paths that need no credentials; one that ends in a slash stands for all below it',
    }),
    schemes: Type.Optional(Type.Array(Type.Object({ type: Type.String() }, { additionalProperties: true }))),
  },
  'Who may come in',
);

/** Who may read and write the configuration where nothing says so. */
export const defaultStudioRoles = ['operator', 'admin'];

export const ServerConfig = section(
  {
    host: Type.String({ default: '0.0.0.0' }),
    port: Type.Integer({ minimum: 0, maximum: 65535, default: 8080, description: '0 takes any free port' }),
    transport: Type.Enum(['json-rpc'], { default: 'json-rpc' }),
    public_url: Type.Optional(
      Type.String({ pattern: '^https?://', description: 'What cards say instead of the Host header' }),
    ),
    trusted_proxies: Type.Array(Type.String(), {
      default: [],
      description: 'Addresses or CIDR ranges whose X-Forwarded-* headers are believed',
    }),
    default_agent: Type.Optional(
      Type.String({
        'x-reference': 'agent',
        description: 'The agent of /.well-known/agent-card.json; else the first public one',
      }),
    ),
    max_body_size: byteSize('1MiB', 'A larger request body is refused with 413'),
    timeouts: section(
      {
        headers: duration('10s', 'Until a request has sent its headers'),
        request: duration('30s', 'Until a request has sent its body'),
        keep_alive: duration('65s', 'How long an idle connection is kept; longer than the load balancer in front'),
      },
      'Slow clients',
    ),
    streaming: section(
      {
        heartbeat: duration('15s', 'A comment is sent when a stream has been silent for so long'),
        coalesce: duration('50ms', 'Text is collected for so long before it is sent'),
        coalesce_max: Type.Integer({ minimum: 1, default: 32, description: 'And no more than so many pieces' }),
        replay: Type.Integer({
          minimum: 0,
          maximum: 100_000,
          default: 1_000,
          description: 'Events of a task that a client can have again by Last-Event-ID',
        }),
        replay_for: duration('1m', 'How long they are kept after the task has ended'),
      },
      'Event streams',
    ),
    limits: section(
      {
        max_running_tasks: Type.Integer({
          minimum: 1,
          default: 10_000,
          description: 'Over that a message is refused with 503',
        }),
        max_connections: Type.Integer({ minimum: 1, default: 20_000 }),
        max_requests: Type.Integer({
          minimum: 1,
          default: 10_000,
          description: 'Requests being answered at once, streams included; over that 503',
        }),
        max_requests_per_caller: Type.Integer({
          minimum: 1,
          default: 1_000,
          description: 'The same of one principal, or of one address where nobody says who he is; over that 429',
        }),
        max_streams: Type.Integer({
          minimum: 1,
          default: 10_000,
          description: 'Event streams open at once; over that 503',
        }),
        max_streams_per_caller: Type.Integer({
          minimum: 1,
          default: 1_000,
          description: 'The same of one principal or address; over that 429',
        }),
        max_agent_depth: Type.Integer({
          minimum: 1,
          maximum: 100,
          default: 8,
          description: 'How often agents may hand one piece of work on to each other',
        }),
      },
      'What one process takes on at once',
    ),
    shutdown: section(
      {
        delay: duration('0', 'After SIGTERM, how long requests are still taken while /health/ready says no'),
        timeout: duration('30s', 'How long work in flight is awaited'),
      },
      'How the process ends',
    ),
    drain_timeout: duration('10m', 'How long replaced agents may finish their work'),
    auth: Auth,
    push: section(
      {
        allow_private: Type.Boolean({
          default: false,
          description:
            'Whether webhooks may be at loopback, private and link-local addresses; not at the metadata of a cloud',
        }),
        timeout: duration('10s', 'For one delivery'),
        max_attempts: Type.Integer({ minimum: 1, maximum: 20, default: 5, description: 'Deliveries of one event' }),
        max_configs: Type.Integer({ minimum: 1, maximum: 1_000, default: 20, description: 'Webhooks of one task' }),
      },
      'Push notifications',
    ),
    openai: section(
      { enabled: Type.Boolean({ default: false, description: 'Serves /v1/chat/completions and /v1/models' }) },
      'Agents as models of an OpenAI-compatible endpoint',
    ),
    mcp: section(
      { enabled: Type.Boolean({ default: false, description: 'Serves /mcp' }) },
      'Agents as tools of an MCP server',
    ),
    card_signing: optionalSection(
      {
        key: Type.String({ minLength: 1, writeOnly: true, description: 'Private key: PEM (PKCS #8) or JWK' }),
        algorithm: Type.Enum(['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA'], { default: 'ES256' }),
        key_id: Type.String({ minLength: 1, description: 'The `kid` by which clients find the public key' }),
        key_url: Type.Optional(
          Type.String({ pattern: '^https?://', description: 'Where the public keys are (`jku`)' }),
        ),
      },
      'Signatures of agent cards',
    ),
    admin: optionalSection(
      {
        host: Type.String({ default: '127.0.0.1' }),
        port: Type.Integer({ minimum: 0, maximum: 65535, description: '0 takes any free port' }),
      },
      'A second address that has /metrics and /api, which the first then has not',
    ),
    cors: optionalSection(
      {
        allowed_origins: Type.Array(Type.String({ minLength: 1 }), {
          default: ['*'],
          description: '"https://app.example.com", "https://*.example.com", or "*" for all',
        }),
        allowed_methods: Type.Array(Type.String({ pattern: '^[A-Za-z]+$' }), {
          default: ['GET', 'POST', 'DELETE', 'OPTIONS'],
        }),
        allowed_headers: Type.Array(Type.String({ minLength: 1 }), {
          default: [
            'Authorization',
            'Content-Type',
            'X-API-Key',
            'A2A-Version',
            'A2A-Extensions',
            'Last-Event-ID',
            'X-Request-Id',
          ],
        }),
        exposed_headers: Type.Array(Type.String({ minLength: 1 }), {
          default: [
            'X-Request-Id',
            'Retry-After',
            'X-RateLimit-Limit',
            'X-RateLimit-Remaining',
            'X-RateLimit-Reset',
            'WWW-Authenticate',
            'ETag',
          ],
        }),
        allow_credentials: Type.Boolean({ default: false, description: 'Not together with "*"' }),
        max_age: duration('10m', 'How long a browser may remember what it may send'),
      },
      'Pages of other origins',
    ),
    outbound: section(
      {
        allow: Type.Array(Type.String({ minLength: 1 }), {
          default: [],
          description:
            'Hosts ("mcp.internal", "*.svc.cluster.local"), addresses and CIDR ranges that may be reached although they are not public',
        }),
      },
      'What agents, tools and webhooks may connect to when others say where',
    ),
    studio: optionalSection(
      {
        enabled: Type.Boolean({
          default: false,
          description: 'Like --studio; what is saved is taken up where --watch is given, too',
        }),
        allowed_roles: Type.Array(Type.String({ minLength: 1 }), {
          minItems: 1,
          default: defaultStudioRoles,
          description: 'Who may read and write the configuration, where there is authentication',
        }),
      },
      'The configuration over HTTP',
    ),
    approval: comingSection('asking a person before a tool call'),
  },
  'The HTTP server',
);
export type ServerConfig = Static<typeof ServerConfig>;
