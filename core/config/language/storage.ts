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

const Place = (what: string, retention: string) =>
  section(
    {
      backend: Type.Enum(['inmemory', 'sql', 'mongodb'], {
        default: 'inmemory',
        description: `Where ${what} are kept`,
      }),
      database: Type.Optional(Type.String({ description: 'The entry of `databases` that keeps them' })),
      retention: duration('0', retention),
    },
    `Where ${what} are kept`,
  );

export const StorageConfig = section(
  {
    tasks: Place(
      'tasks',
      'How long a task is kept in a database after it has ended; then it is removed while everything goes on. 0: until hector db prune',
    ),
    sessions: Place(
      'conversations',
      'How long a conversation is kept in a database after its last use; then it is removed while everything goes on. 0: until hector db prune',
    ),
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
    on_error: Type.Enum(['fail', 'degrade'], {
      default: 'fail',
      description:
        'What becomes of work while the database is away. fail: it ends with an error. degrade: it goes on without the earlier conversation, and what it brings is written later',
    }),
    checkpoint: section(
      {
        enabled: Type.Boolean({
          default: false,
          description: 'Whether it is written down how far a run has come, so that another process can continue it',
        }),
        strategy: Type.Enum(['event', 'interval', 'hybrid'], {
          default: 'event',
          description:
            'When that is. event: at the events chosen below; interval: after every so many model calls; hybrid: both. What concerns a tool call is written always',
        }),
        interval: Type.Integer({
          minimum: 0,
          default: 0,
          description: 'Model calls between two checkpoints, for the strategies interval and hybrid; 0: none',
        }),
        after_tools: Type.Boolean({
          default: true,
          description: 'Also when the tools that a model called have answered',
        }),
        before_llm: Type.Boolean({ default: false, description: 'Also before a model is asked' }),
        recovery: section(
          {
            auto_resume: Type.Boolean({
              default: false,
              description: 'Whether a task whose process has ended is continued by another; else it fails',
            }),
            auto_resume_hitl: Type.Boolean({
              default: false,
              description:
                'Whether that is also done with a task that had waited for its caller and gone on with the answer',
            }),
            timeout: Type.Union(
              [Type.Integer({ minimum: 1 }), Type.String({ pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$' })],
              {
                default: 3600,
                description:
                  'How old what a task is continued from may be, in seconds or as a duration; where it is older the task fails',
              },
            ),
          },
          'What becomes of tasks whose process has ended',
        ),
      },
      'Runs that are continued after the end of their process',
    ),
  },
  'Where tasks and conversations are kept',
);
export type StorageConfig = Static<typeof StorageConfig>;

/** What a database entry is called in a message when no plugin provides its driver. */
export const databaseComing = (): typeof DatabaseConfig =>
  coming(DatabaseConfig, 'databases; until then tasks and conversations are kept in memory');
