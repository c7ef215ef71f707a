import { resolve } from 'node:path';
import {
  definePlugin,
  duration,
  type ExtensionPoints,
  milliseconds,
  type Static,
  storageBackend,
  Type,
} from '../../core/index.ts';

const options = Type.Object(
  {
    database: Type.String({
      minLength: 1,
      description: 'The file, relative to the folder of the configuration. It and its folder are made if need be',
    }),
    busy_timeout: duration('5s', 'How long a write waits for another process that writes to the file'),
  },
  { additionalProperties: false },
);

const create = async (settings: Static<typeof options>, context: ExtensionPoints['storage']['context']) => {
  const [{ sqlBackend }, { LibsqlDatabase }] = await Promise.all([load(), loadDatabase()]);
  const who = `databases.${context.name}`;
  const file = resolve(context.folder ?? '.', settings.database);
  const database = new LibsqlDatabase({ who, file, busyMs: milliseconds(settings.busy_timeout) });
  return await sqlBackend(database, { who, logger: context.logger, migrate: context.migrate });
};
const load = () => import('./sql/backend.ts');
const loadDatabase = () => import('./sql/libsql-database.ts');

const sqlite = storageBackend({
  name: 'sqlite',
  description: 'Keeps tasks and conversations in a file, with the SQLite that is built in',
  options,
  create,
});

const sqlite3 = storageBackend({ ...sqlite, name: 'sqlite3', description: 'Another name for sqlite' });

export default definePlugin({ apiVersion: 1, name: 'hector/storage-sqlite', provides: [sqlite, sqlite3] });
