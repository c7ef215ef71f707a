import { definePlugin, duration, filePath, storageBackend, Type } from '../../core/index.ts';

const optionalText = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const options = Type.Object(
  {
    host: optionalText('Of the server; default: localhost. A folder is that of its socket'),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'Default: 5432' })),
    database: optionalText("Its name; default: the user's"),
    user: optionalText('Who connects'),
    username: optionalText('Another name for `user`'),
    password: Type.Optional(Type.String({ description: 'The password of the user' })),
    dsn: optionalText('All of these in one: postgres://user:password@host:5432/database?sslmode=verify-full'),
    read_dsn: optionalText('A replica, in the same form, that answers lists and what it has of conversations'),
    listen_dsn: optionalText(
      'The server itself, in the same form, where a pooler is before it or not: it tells what happens to tasks elsewhere',
    ),
    ssl_mode: Type.Optional(
      Type.Enum(['disable', 'require', 'verify-ca', 'verify-full'], {
        description:
          'disable (the default), require (encrypted, whoever answers), verify-ca (of the authority) or verify-full (and for this host)',
      }),
    ),
    ssl_ca: Type.Optional(filePath("The authority's certificate; default: those that Node knows")),
    ssl_cert: Type.Optional(filePath("The client's certificate")),
    ssl_key: Type.Optional(filePath("The key of the client's certificate")),
    max_conns: Type.Integer({ minimum: 1, default: 25, description: 'Connections at most' }),
    max_idle: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Connections kept while nothing needs them; default: max_conns' }),
    ),
    conn_max_lifetime: duration('1h', 'After that a connection is made anew; 0: never'),
    connect_timeout: duration('3s', 'How long a connection may take, and a statement may wait for a free one'),
    statement_timeout: duration('10s', 'How long a statement may take'),
  },
  { additionalProperties: false },
);

const postgres = storageBackend({
  name: 'postgres',
  description: 'Keeps tasks and conversations in a Postgres database, for one Hector or many',
  options,
  create: async (settings, context) => (await load()).postgresBackend(settings, context),
});
const load = () => import('./sql/pg-backend.ts');

export default definePlugin({ apiVersion: 1, name: 'hector/storage-postgres', provides: [postgres] });
