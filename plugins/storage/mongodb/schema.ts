import type { IndexDescription } from 'mongodb';
import { HectorError, type SchemaStatus } from '../../../core/index.ts';
import { isDuplicate, type Limits, type MongoDatabase } from './database.ts';

/** Each brings the database from the version before it to its own, and does no harm where another process has done so. */
const migrations: readonly ((database: MongoDatabase, limits: Limits) => Promise<unknown>)[] = [
  firstVersion,
  secondVersion,
];

const wanted = migrations.length;

async function firstVersion({ tasks, sessions }: MongoDatabase, { maxTimeMS }: Limits): Promise<void> {
  const lists: IndexDescription[] = [
    { name: 'hector_list', key: { owner: 1, agent: 1, statusAt: -1, _id: 1 } },
    { name: 'hector_list_context', key: { owner: 1, agent: 1, contextId: 1, statusAt: -1, _id: 1 } },
    { name: 'hector_prune', key: { statusAt: 1 } },
  ];
  await tasks.createIndexes(lists, { maxTimeMS });
  await sessions.createIndexes(
    [
      { name: 'hector_list', key: { owner: 1, agent: 1, updatedAt: -1, _id: 1 } },
      { name: 'hector_list_all', key: { updatedAt: -1, _id: 1 } },
      { name: 'hector_incarnation', key: { incarnation: 1 } },
    ],
    { maxTimeMS },
  );
}

/** What version 1 has stored stays as it is: a task is given its log when it is first written again. */
async function secondVersion({ tasks, events }: MongoDatabase, { maxTimeMS }: Limits): Promise<void> {
  await tasks.createIndexes([{ name: 'hector_work', key: { work: 1 } }], { maxTimeMS });
  await events.createIndexes([{ name: 'hector_append', key: { append: 1 } }], { maxTimeMS });
}

export async function schemaStatus(database: MongoDatabase, signal: AbortSignal): Promise<SchemaStatus> {
  const found = await database.run((limits) => database.meta.findOne({ _id: 'schema' }, limits), signal);
  return { version: found?.version ?? 0, wanted };
}

/** Ten that start at once all do the same, and none waits for another: there is no lock that could be left behind. */
export async function migrate(database: MongoDatabase, signal: AbortSignal): Promise<SchemaStatus> {
  const { version } = await schemaStatus(database, signal);
  refuseNewer(database, version);
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    await database.run((limits) => migration(database, limits), signal);
    await reach(database, index + 1, signal);
  }
  const status = await schemaStatus(database, signal);
  refuseNewer(database, status.version);
  return status;
}

/** Throws where this version of Hector cannot work with the schema that is there. */
export async function checkSchema(database: MongoDatabase, signal: AbortSignal): Promise<void> {
  const { version } = await schemaStatus(database, signal);
  refuseNewer(database, version);
  if (version === wanted) return;
  throw new HectorError(
    'storage_schema_older',
    `${database.who} has version ${version} of the schema, and this version of Hector works with ${wanted}. Run hector db migrate, or start hector serve, which brings it up to date.`,
  );
}

/** Never back: somebody newer may have gone on from there. */
async function reach(database: MongoDatabase, version: number, signal: AbortSignal): Promise<void> {
  const at = new Date().toISOString();
  const { meta } = database;
  try {
    await database.run(({ maxTimeMS }) => meta.insertOne({ _id: 'schema', version, at }, { maxTimeMS }), signal);
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const older = { _id: 'schema', version: { $lt: version } };
    await database.run(({ maxTimeMS }) => meta.updateOne(older, { $set: { version, at } }, { maxTimeMS }), signal);
  }
}

function refuseNewer({ who }: MongoDatabase, version: number): void {
  if (version <= wanted) return;
  throw new HectorError(
    'storage_schema_newer',
    `${who} has version ${version} of the schema, and this version of Hector works with ${wanted}. Run a newer Hector, or restore a backup from before it was brought to ${version}.`,
  );
}
