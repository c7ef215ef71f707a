import { type Command, InvalidArgumentError, Option } from 'commander';
import { milliseconds } from '../../core/config/language/common.ts';
import { sourceOptions } from './config-commands.ts';
import type { StorageFlags } from './db/storage.ts';
import type { DbFlags, PruneFlags, StatusFlags } from './db.ts';
import type { Output } from './output.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

const usage = `
The databases are those that storage.tasks and storage.sessions of the configuration name, as hector serve takes it with the
same flags. What works with them brings their schema up to date first, as a start of hector serve does: all but hector db status
and hector db migrate, of which the one changes nothing and the other does only that.
Exit codes: 0 done; 1 a database does not answer, or refuses; 2 the command line is wrong.
`;

export function dbCommands(hector: Command): void {
  const db = hector.command('db').description('look after the databases that keep tasks and conversations');

  const status = db
    .command('status')
    .description('tell whether each answers and has the schema wanted, and change nothing; exit code 1 if not')
    .option('--json', 'print JSON, a database on a line');
  run(ofOne(status), async (flags: StatusFlags, signal) => {
    const { dbStatus } = await import('./db.ts');
    return dbStatus(flags, signal);
  });

  const migrate = db
    .command('migrate')
    .description('bring the schema of each to the version wanted, and tell from which');
  run(ofOne(migrate), async (flags: DbFlags, signal) => {
    const { dbMigrate } = await import('./db.ts');
    return dbMigrate(flags, signal);
  });

  const prune = db
    .command('prune')
    .description('remove what is old, in batches, while everything else goes on')
    .option('--tasks-older-than <duration>', 'finished tasks whose status is older: 30d', ago)
    .option('--sessions-older-than <duration>', 'conversations that have not been used for so long: 90d', ago);
  run(ofOne(prune), async (flags: PruneFlags, signal) => {
    const { dbPrune } = await import('./db.ts');
    return dbPrune(flags, signal);
  });

  const backup = db
    .command('backup')
    .description('copy a SQLite database as of one moment, also while it is served')
    .argument('<file>', 'where to; it must not be there yet');
  run(ofOne(backup), async (flags: DbFlags, signal, [file = '']) => {
    const { dbBackup } = await import('./db.ts');
    return dbBackup(file, flags, signal);
  });
}

/** The flags that say which configuration, and which storage, as `serve` has them. */
export function storageOptions(command: Command): Command {
  return sourceOptions(command)
    .addOption(
      new Option('--storage <kind>', 'what keeps tasks and conversations').choices(['inmemory', 'sqlite', 'postgres']),
    )
    .option('--storage-db <database>', 'its file, or its address (default: .hector/hector.db, DATABASE_URL)')
    .addHelpText('after', usage);
}

function ofOne(command: Command): Command {
  return command.option('--database <name>', 'only this entry of databases');
}

/** With a signal that aborts when the user has had enough. */
export function run<F extends StorageFlags>(
  command: Command,
  action: (flags: F, signal: AbortSignal, args: readonly string[]) => Promise<Output>,
): void {
  storageOptions(command).action(async () => {
    const { interruptible } = await import('./db/interruptible.ts');
    await interruptible((signal) => action(command.opts<F>(), signal, command.processedArgs as string[]));
  });
}

function ago(text: string): number {
  if (!/^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$/.test(text))
    throw new InvalidArgumentError('It must be a duration: 30d, 12h.');
  const ms = milliseconds(text);
  if (ms > Date.now()) throw new InvalidArgumentError('That is before 1970.');
  return ms;
}
