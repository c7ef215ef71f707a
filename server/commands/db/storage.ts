import { ConfigError } from '../../../core/config/issue.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { listed } from '../../../core/config/suggestion.ts';
import { errorMessage, HectorError } from '../../../core/errors.ts';
import { silentLogger } from '../../../core/logger.ts';
import { countersDatabase, type OpenedStorage, openStorage } from '../../../core/runtime/build.ts';
import type { Flags } from '../flags.ts';
import { openSource, type SourceFlags } from '../source.ts';
import { UsageError } from '../usage-error.ts';

export interface StorageFlags extends SourceFlags, Pick<Flags, 'storage' | 'storageDb'> {}

export type Kept = 'tasks' | 'sessions' | 'counters';

/** A database that keeps tasks, conversations, or what rate_limiting counts. */
export interface ConfiguredDatabase {
  /** Its entry in `databases`. */
  readonly name: string;
  readonly driver: string;
  readonly keeps: readonly Kept[];
}

const readMs = 10_000;
/** Longer than a backend waits for a database that does not answer. */
const createMs = 12_000;

/** The configuration, as `serve` would take it with the same flags. */
export async function loadSnapshot(flags: StorageFlags): Promise<Snapshot> {
  await using source = await openSource(flags, flags);
  return await source.load(await source.read(AbortSignal.timeout(readMs)));
}

/** Those that the configuration uses, or the one of that name. Never none. */
export function databasesOf({ config, source }: Snapshot, only?: string): readonly ConfiguredDatabase[] {
  const kept = new Map<string, Kept[]>();
  const { tasks, sessions } = config.storage;
  const used = { tasks: tasks.database, sessions: sessions.database, counters: countersDatabase(config) };
  for (const [what, name] of Object.entries(used) as [Kept, string | undefined][]) {
    if (name !== undefined) kept.set(name, [...(kept.get(name) ?? []), what]);
  }
  if (kept.size === 0) {
    throw new HectorError(
      'storage_inmemory',
      `${source} keeps tasks and conversations in memory: they are seen by the process that serves and by no other, and there is no database to look at. Name one in storage.tasks and storage.sessions, or with --storage, as for hector serve.`,
    );
  }
  if (only !== undefined && !kept.has(only))
    throw new UsageError(
      `--database ${only} is no database that keeps tasks or conversations ${listed('used', [...kept.keys()])}.`,
    );
  return [...kept]
    .filter(([name]) => only === undefined || name === only)
    .map(([name, keeps]) => ({ name, keeps, driver: config.databases[name]?.driver ?? '' }));
}

/** The database that keeps the conversations. */
export function sessionsDatabase(snapshot: Snapshot): ConfiguredDatabase {
  const found = databasesOf(snapshot).find(({ keeps }) => keeps.includes('sessions'));
  if (found) return found;
  throw new HectorError(
    'storage_inmemory',
    `${snapshot.source} keeps conversations in memory: they are seen by the process that serves and by no other. Name a database in storage.sessions.`,
  );
}

/**
 * Opens it, and nothing else of the configuration. It may not answer: `ping` says. `migrate: false` leaves its schema as it
 * is, whatever it is.
 */
export async function openDatabase(
  snapshot: Snapshot,
  { name, driver, keeps }: ConfiguredDatabase,
  signal: AbortSignal,
  { migrate = true }: { readonly migrate?: boolean } = {},
): Promise<OpenedStorage> {
  signal.throwIfAborted();
  if (!snapshot.registry.find('storage', driver))
    throw new HectorError(
      'unknown_driver',
      `databases.${name} has the driver "${driver}", which no plugin provides: name the plugin that does in plugins.`,
    );
  const options = { logger: silentLogger, onWarning: () => {}, createMs, migrate };
  const opening = openStorage(snapshot, keeps[0] ?? 'tasks', options);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    return await Promise.race([opening, aborted]);
  } catch (error) {
    // Should it come after all, nobody will use it.
    opening.then(
      (opened) => opened[Symbol.asyncDispose](),
      () => undefined,
    );
    throw error;
  }
}

/** What went wrong with it, without a secret. */
export function reasonOf(snapshot: Snapshot, { name }: ConfiguredDatabase, error: unknown): string {
  if (error instanceof ConfigError) return error.issues.map(({ message }) => message).join(' ');
  if (error instanceof Error && error.name === 'TimeoutError') return `databases.${name} does not answer.`;
  return snapshot.secrets.redact(errorMessage(error));
}
