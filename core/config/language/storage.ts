import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { coming, comingSection, duration, section } from './common.ts';

/** A database that this version cannot open yet: accepted as a whole, so that a file written for the next one loads. */
export const DatabaseConfig = Type.Object(
  {
    driver: Type.String({ description: 'The storage backend' }),
    host: Type.Optional(Type.String()),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
    database: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    username: Type.Optional(Type.String()),
    password: Type.Optional(Type.String()),
    dsn: Type.Optional(Type.String()),
    ssl_mode: Type.Optional(Type.Enum(['disable', 'require', 'verify-ca', 'verify-full'])),
    max_conns: Type.Optional(Type.Integer({ minimum: 1 })),
    max_idle: Type.Optional(Type.Integer({ minimum: 0 })),
    conn_max_lifetime: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

const Place = (what: string) =>
  section(
    {
      backend: Type.Enum(['inmemory', 'sql', 'mongodb'], {
        default: 'inmemory',
        description: `Where ${what} are kept`,
      }),
      database: Type.Optional(Type.String({ description: 'The entry of `databases` that keeps them' })),
    },
    `Where ${what} are kept`,
  );

export const StorageConfig = section(
  {
    tasks: Place('tasks'),
    sessions: Place('conversations'),
    inmemory: section(
      {
        max_tasks: Type.Integer({
          minimum: 1,
          default: 10_000,
          description: 'Tasks kept; the oldest finished go first',
        }),
        task_ttl: duration('1h', 'How long a finished task is kept'),
        max_sessions: Type.Integer({
          minimum: 1,
          default: 10_000,
          description: 'Conversations kept; the longest unused go first',
        }),
        session_ttl: duration('24h', 'How long an unused conversation is kept'),
        max_session_messages: Type.Integer({
          minimum: 2,
          default: 1_000,
          description: 'Messages kept of one conversation',
        }),
      },
      'Bounds of what is kept in memory',
    ),
    memory: comingSection('searching old conversations'),
    checkpoint: comingSection('resuming work after a crash'),
  },
  'Where tasks and conversations are kept',
);
export type StorageConfig = Static<typeof StorageConfig>;

/** What a database entry is called in a message when no plugin provides its driver. */
export const databaseComing = (): typeof DatabaseConfig =>
  coming(DatabaseConfig, 'databases; until then tasks and conversations are kept in memory');
