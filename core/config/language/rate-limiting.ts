import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { optionalSection } from './common.ts';

export const RateLimit = Type.Object(
  {
    type: Type.Enum(['count', 'token'], {
      description: 'count: requests to agents; token: what models read and write',
    }),
    window: Type.Enum(['minute', 'hour', 'day', 'week', 'month']),
    limit: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
);
export type RateLimit = Static<typeof RateLimit>;

export const RateLimiting = optionalSection(
  {
    enabled: Type.Boolean({ default: false }),
    scope: Type.Enum(['session', 'user', 'key'], {
      default: 'session',
      description:
        'Each session (contextId of a user), each user (subject), or each key (credential) has its own limits',
    }),
    backend: Type.Enum(['memory', 'sql'], {
      default: 'memory',
      description: 'memory: each process counts for itself; sql: all that share the database count together',
    }),
    sql_database: Type.Optional(
      Type.String({ 'x-reference': 'database', description: 'The entry of databases for backend: sql' }),
    ),
    on_error: Type.Enum(['allow', 'refuse'], {
      default: 'allow',
      description: 'What becomes of messages while the database does not answer. allow: they are let in; refuse: 503',
    }),
    limits: Type.Array(RateLimit, {
      default: [
        { type: 'token', window: 'day', limit: 100_000 },
        { type: 'count', window: 'minute', limit: 60 },
      ],
      description: 'Each with `type` (count or token), `window` (minute, hour, day, week or month) and `limit`',
    }),
  },
  'How much a caller may ask for',
);
export type RateLimiting = Static<typeof RateLimiting>;
