import { sql } from 'kysely';
import { HectorError, type SchemaStatus } from '../../../core/index.ts';
import { migrations } from './migrations.ts';
import type { RunQuery, SqlDatabase } from './tables.ts';

const wanted = migrations.length;

/** How long a look at the schema may take: it is what finds out that the database is back. */
const lookMs = 3_000;

export async function schemaStatus(database: SqlDatabase): Promise<SchemaStatus> {
  const run: RunQuery = async (query) => ({ rows: await database.read(query, { ms: lookMs }), changes: 0 });
  return { version: await versionIn(database, run), wanted };
}

/** Each migration in a transaction of its own, and under a lock: of many processes one runs it, and the others wait. */
export async function migrate(database: SqlDatabase, signal: AbortSignal): Promise<SchemaStatus> {
  for (;;) {
    signal.throwIfAborted();
    const status = await schemaStatus(database);
    refuseNewer(status.version);
    // Where there is nothing to do, no right to change tables is needed.
    if (status.version === wanted) return status;
    await database.exclusively((run) => migrateOnce(database, run), signal);
  }
}

async function migrateOnce(database: SqlDatabase, run: RunQuery): Promise<void> {
  const { builder, dialect } = database;
  const table = builder.schema
    .createTable('hector_migrations')
    .ifNotExists()
    .addColumn('version', 'integer', (column) => column.primaryKey().notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('applied_at', 'text', (column) => column.notNull());
  await run(table.compile());
  const version = await versionIn(database, run);
  refuseNewer(version);
  const next = migrations[version];
  if (!next) return;
  for (const statement of next.up(builder, dialect)) await run(statement);
  const applied = { version: version + 1, name: next.name, applied_at: new Date().toISOString() };
  await run(builder.insertInto('hector_migrations').values(applied).compile());
}

async function versionIn({ builder, dialect }: SqlDatabase, run: RunQuery): Promise<number> {
  const table =
    dialect === 'postgres'
      ? sql<{ there: unknown }>`select to_regclass('hector_migrations') is not null as there`
      : sql<{ there: unknown }>`select count(*) > 0 as there from sqlite_master where name = 'hector_migrations'`;
  const [found] = (await run(table.compile(builder))).rows;
  if (!found?.there) return 0;
  const query = builder.selectFrom('hector_migrations').select(({ fn }) => fn.max('version').as('version'));
  const [row] = (await run(query.compile())).rows;
  return Number(row?.version ?? 0);
}

/** Throws where it is not what is wanted. */
export async function checkSchema(database: SqlDatabase): Promise<void> {
  const { version } = await schemaStatus(database);
  refuseNewer(version);
  if (version < wanted)
    throw new HectorError(
      'storage_schema_older',
      `The database has version ${version} of the schema, and this version of Hector works with ${wanted}. Run hector db migrate, or start hector serve, which brings it up to date.`,
    );
}

function refuseNewer(version: number): void {
  if (version <= wanted) return;
  throw new HectorError(
    'storage_schema_newer',
    `The database has version ${version} of the schema, and this version of Hector works with ${wanted}. Run a newer Hector, or restore a backup from before it was brought to ${version}.`,
  );
}
