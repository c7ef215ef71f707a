import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Snapshot } from '../../core/config/snapshot.ts';
import { HectorError } from '../../core/errors.ts';
import type { PruneLimits, SchemaStatus, StorageBackend } from '../../core/extension/storage-backend.ts';
import { table } from './config/table.ts';
import {
  type ConfiguredDatabase,
  databasesOf,
  type Kept,
  loadSnapshot,
  openDatabase,
  reasonOf,
  type StorageFlags,
} from './db/storage.ts';
import type { Output } from './output.ts';
import { jsonLine, oneLine } from './remote/text.ts';
import { UsageError } from './usage-error.ts';

export interface DbFlags extends StorageFlags {
  readonly database?: string;
}

export interface StatusFlags extends DbFlags {
  readonly json?: boolean;
}

export interface PruneFlags extends DbFlags {
  /** Milliseconds. */
  readonly tasksOlderThan?: number;
  /** Milliseconds. */
  readonly sessionsOlderThan?: number;
}

/** How long a question may take that a database that is well answers at once. */
const answerMs = 5_000;
const askedBy = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);

/** Exit code 1 where one does not answer, or has another schema than this version works with. Changes nothing. */
export async function dbStatus(flags: StatusFlags, signal: AbortSignal): Promise<Output> {
  const snapshot = await loadSnapshot(flags);
  const found = await Promise.all(
    databasesOf(snapshot, flags.database).map(async (database) => ({
      ...database,
      ...(await looked(snapshot, database, signal)),
    })),
  );
  const code = found.every(({ state }) => state === 'current') ? 0 : 1;
  if (flags.json) {
    const line = ({ name, ...rest }: (typeof found)[number]) => `${jsonLine({ database: name, ...rest })}\n`;
    return { code, stdout: found.map(line).join('') };
  }
  const rows = found.map(({ name, driver, keeps, state, version, wanted, reason }) => [
    name,
    driver,
    keeps.join(', '),
    String(version ?? '-'),
    String(wanted ?? '-'),
    reason === undefined ? state : `${state}: ${oneLine(reason, 500)}`,
  ]);
  return { code, stdout: table([['DATABASE', 'DRIVER', 'KEEPS', 'VERSION', 'WANTED', 'STATE'], ...rows]) };
}

interface Look extends Partial<SchemaStatus> {
  readonly state: 'current' | 'outdated' | 'newer' | 'unusable';
  /** Why it is not current, or what is to be done. */
  readonly reason?: string;
}

async function looked(snapshot: Snapshot, database: ConfiguredDatabase, signal: AbortSignal): Promise<Look> {
  let status: SchemaStatus | undefined;
  try {
    await using opened = await openDatabase(snapshot, database, signal, { migrate: false });
    const { backend } = opened;
    status = await backend.schema?.status(askedBy(signal));
    if (status && status.version !== status.wanted) return { ...status, ...mismatch(status) };
    await backend.ping(askedBy(signal));
    return { state: 'current', ...status };
  } catch (error) {
    signal.throwIfAborted();
    return { ...status, state: 'unusable', reason: reasonOf(snapshot, database, error) };
  }
}

function mismatch({ version, wanted }: SchemaStatus): Pick<Look, 'state' | 'reason'> {
  if (version < wanted)
    return {
      state: 'outdated',
      reason: 'the next start of hector serve brings it up to date, and so does hector db migrate',
    };
  return {
    state: 'newer',
    reason: 'this Hector does not work with it: run a newer one, or restore a backup from before',
  };
}

/** From the version that it has to the one wanted. */
export async function dbMigrate(flags: DbFlags, signal: AbortSignal): Promise<Output> {
  return await withEach(flags, signal, { migrate: false }, async ({ name, driver }, { schema }) => {
    if (!schema) return `${name} (${driver}) has no schema to bring up to date.\n`;
    const before = await schema.status(askedBy(signal));
    const after = await schema.migrate(signal);
    if (before.version === after.version)
      return `${name} (${driver}) is at version ${after.version}, the one wanted: nothing to do.\n`;
    return `${name} (${driver}): from version ${before.version} to ${after.version}, the one wanted.\n`;
  });
}

export async function dbPrune(flags: PruneFlags, signal: AbortSignal): Promise<Output> {
  const { tasksOlderThan, sessionsOlderThan } = flags;
  if (tasksOlderThan === undefined && sessionsOlderThan === undefined)
    throw new UsageError('Say what is to go: --tasks-older-than 30d, --sessions-older-than 90d, or both.');
  const now = Date.now();
  const before = (ms: number) => new Date(now - ms).toISOString();
  const limitsFor = (keeps: readonly Kept[]): PruneLimits => ({
    ...(tasksOlderThan !== undefined && keeps.includes('tasks') && { tasksBefore: before(tasksOlderThan) }),
    ...(sessionsOlderThan !== undefined && keeps.includes('sessions') && { sessionsBefore: before(sessionsOlderThan) }),
  });
  const concerned = ({ keeps }: ConfiguredDatabase) => Object.keys(limitsFor(keeps)).length > 0;
  const work = async ({ name, driver, keeps }: ConfiguredDatabase, backend: StorageBackend) => {
    if (!backend.prune)
      throw new HectorError(
        'prune_unsupported',
        `databases.${name} cannot be pruned by Hector: its driver "${driver}" has no way to. Remove what is old with its own tools.`,
      );
    const gone = await backend.prune(limitsFor(keeps), signal);
    return `${name} (${driver}): ${counted(gone.tasks, 'task')} and ${counted(gone.sessions, 'conversation')} removed.\n`;
  };
  return await withEach(flags, signal, { concerned }, work);
}

/** Into a file that is not there yet. */
export async function dbBackup(file: string, flags: DbFlags, signal: AbortSignal): Promise<Output> {
  const snapshot = await loadSnapshot(flags);
  const [database, ...others] = databasesOf(snapshot, flags.database);
  if (!database || others.length > 0) {
    const names = databasesOf(snapshot).map(({ name }) => name);
    throw new UsageError(`Which one? A backup is of one database: --database ${names.join(' or --database ')}.`);
  }
  try {
    return { code: 0, stdout: await copied(snapshot, database, resolve(file), signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { code: 1, stderr: `error: ${reasonOf(snapshot, database, error)}\n` };
  }
}

async function copied(snapshot: Snapshot, database: ConfiguredDatabase, path: string, signal: AbortSignal) {
  const { name, driver } = database;
  await using opened = await openDatabase(snapshot, database, signal);
  const { backend } = opened;
  if (!backend.backup) {
    throw new HectorError(
      'backup_unsupported',
      `databases.${name} is not copied by Hector: ${toolFor(driver)}. It may be run while Hector serves.`,
    );
  }
  await backend.ping(askedBy(signal));
  await backend.backup(path, signal);
  const { size } = await stat(path);
  return `Copied databases.${name} to ${path} (${size} bytes).\n`;
}

function toolFor(driver: string): string {
  if (driver === 'postgres') return 'use pg_dump (pg_dump --format=custom --file=FILE DATABASE)';
  if (driver === 'mongodb') return 'use mongodump (mongodump --uri=ADDRESS --archive=FILE)';
  return `its driver "${driver}" has no way to; use the database's own tools`;
}

interface EachOptions {
  /** `false`: the schema is left as it is, and the database need not be ready for work. */
  readonly migrate?: boolean;
  readonly concerned?: (database: ConfiguredDatabase) => boolean;
}

/** One after the other, each opened and answering. What was done is told also where a later one fails. */
async function withEach(
  flags: DbFlags,
  signal: AbortSignal,
  { migrate = true, concerned = () => true }: EachOptions,
  work: (database: ConfiguredDatabase, backend: StorageBackend) => Promise<string>,
): Promise<Output> {
  const snapshot = await loadSnapshot(flags);
  const databases = databasesOf(snapshot, flags.database).filter(concerned);
  if (databases.length === 0)
    throw new UsageError('There is nothing to do: no database that is meant keeps what the flags speak of.');
  let stdout = '';
  const errors: string[] = [];
  for (const database of databases) {
    try {
      await using opened = await openDatabase(snapshot, database, signal, { migrate });
      if (migrate) await opened.backend.ping(askedBy(signal));
      stdout += await work(database, opened.backend);
    } catch (error) {
      signal.throwIfAborted();
      errors.push(`error: ${reasonOf(snapshot, database, error)}\n`);
    }
  }
  return { code: errors.length > 0 ? 1 : 0, stdout, stderr: errors.join('') };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
