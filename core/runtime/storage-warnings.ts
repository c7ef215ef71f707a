import { milliseconds } from '../config/language/common.ts';
import type { HectorConfig } from '../config/language/hector.ts';
import type { BuildReport } from './build-report.ts';
import type { GenerationContents } from './generation.ts';

const inMemory = {
  tasks: 'tasks in memory: storage.inmemory.task_ttl says how long they are kept',
  sessions: 'conversations in memory: storage.inmemory.session_ttl says how long they are kept',
} as const;

/** Tells of what is asked of a storage that it cannot do. */
export function warnOfStorage({ config, tasks, sessions }: GenerationContents, report: BuildReport): void {
  const { checkpoint } = config.storage;
  for (const [what, backend] of [
    ['tasks', tasks],
    ['sessions', sessions],
  ] as const) {
    const place = placeOf(config, what);
    if (backend.prune || milliseconds(config.storage[what].retention) === 0) continue;
    const why = place
      ? `${place.name}, whose driver "${place.driver}" removes nothing by itself. Remove what is old with the tools of the database`
      : inMemory[what];
    report.warn(['storage', what, 'retention'], `does nothing for ${why}`);
  }
  if (checkpoint.enabled && !tasks.runs) {
    const place = placeOf(config, 'tasks');
    const why = place
      ? `${place.name} has the driver "${place.driver}", which keeps no tasks that are at work`
      : 'tasks are kept in memory, and end with the process. Name a database in storage.tasks';
    report.warn(['storage', 'checkpoint', 'enabled'], `nothing is written down: ${why}`);
  }
}

/** The database that keeps them; `undefined`: the memory does, also where no plugin provides the driver yet. */
function placeOf({ storage, databases }: HectorConfig, what: 'tasks' | 'sessions') {
  const name = storage[what].database;
  const database = name === undefined ? undefined : databases[name];
  return database && { name: `databases.${name}`, driver: database.driver };
}
