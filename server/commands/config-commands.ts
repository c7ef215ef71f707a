import { type Command, InvalidArgumentError, Option } from 'commander';
import { milliseconds } from '../../core/config/language/common.ts';
import type { PushFlags } from './config/push.ts';
import { type Output, print } from './output.ts';
import type { ConfigSource, SourceFlags } from './source.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

const where = `
The configuration is where the flags say, else the variables HECTOR_CONFIG_PROVIDER, HECTOR_CONFIG_ADDRESS,
HECTOR_CONFIG_KEY and HECTOR_CONFIG_TOKEN_FILE, else the "config" block of the local file (--config, else
.hector/config.yaml), else the local file itself. A key that ends in "/" holds an entry for each agent, LLM, tool, …
`;

const codes = `
Exit codes: 0 done, or nothing to do; 1 the configuration is wrong or the source refuses; 2 the command line is wrong;
3 somebody else has changed it meanwhile, and nothing was written; 4 it is written, and a replica does not run it.
`;

const precedence = `
Of one value, the first of these that says something wins: a flag of hector serve, the environment (LOG_LEVEL, LOG_FORMAT,
LOG_FILE), the local file (its version, name, description, plugins, server, logger and config, where the configuration is
somewhere else), the document, the default.
`;

/** The flags that say where the configuration is. */
export function sourceOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the local file (default: .hector/config.yaml if it is there)')
    .option('--config-provider <name>', 'where the configuration is kept: file, consul, etcd, zookeeper, or a plugin’s')
    .option('--config-address <address>', 'where that is reached')
    .option('--config-key <key>', 'the key it is kept at; with a / at its end, everything below it')
    .option('--config-token-file <file>', 'the file that holds the token to get in');
}

type FormatFlags = { readonly format: 'pretty' | 'json' };
type ApplyFlags = Omit<PushFlags, 'timeoutMs' | 'onProgress'> & { readonly timeout: number };

export function configCommands(hector: Command): void {
  const config = hector.command('config').description('read and change the configuration of a fleet, where it is kept');

  const pull = config
    .command('pull')
    .description('print the configuration as the source has it')
    .option('-o, --output <path>', 'write it to a file, or to a folder/ with a file for each entry');
  run(pull, async (source, flags: { readonly output?: string }, signal) => {
    const { pullCommand } = await import('./config/pull.ts');
    return pullCommand(source, flags, signal);
  });

  const push = config
    .command('push')
    .description('check a configuration, show what it changes, and write it')
    .argument('<path>', 'a file, or a folder with a file for each entry')
    .option('--if-match <revision>', 'only if this is what the source has')
    .option('--dry-run', 'check and show, and write nothing');
  run(applying(push), async (source, { timeout, ...flags }: ApplyFlags, signal, [path = '']) => {
    const { pushCommand } = await import('./config/push.ts');
    return pushCommand(source, path, { ...flags, timeoutMs: timeout, onProgress }, signal);
  });

  const diff = config
    .command('diff')
    .description('show what a push would change; exit code 1 if it would')
    .argument('<path>', 'a file, or a folder with a file for each entry');
  run(formatted(diff), async (source, flags: FormatFlags, signal, [path = '']) => {
    const { diffCommand } = await import('./config/diff.ts');
    return diffCommand(source, path, flags, signal);
  });

  const history = config.command('history').description('list the revisions that are kept, newest first');
  run(formatted(history), async (source, flags: FormatFlags, signal) => {
    const { historyCommand } = await import('./config/history.ts');
    return historyCommand(source, flags, signal);
  });

  const rollback = config
    .command('rollback')
    .description('write an earlier revision anew')
    .argument('[revision]', 'the beginning of its revision or hash, or -2 for two before the current', '-1')
    .option('--dry-run', 'check and show, and write nothing');
  run(applying(rollback), async (source, { timeout, ...flags }: ApplyFlags, signal, [id]) => {
    const { rollbackCommand } = await import('./config/rollback.ts');
    return rollbackCommand(source, id, { ...flags, timeoutMs: timeout, onProgress }, signal);
  });

  const status = config
    .command('status')
    .description('show which replica runs what; exit code 1 if one does not run the newest');
  run(formatted(status), async (source, flags: FormatFlags, signal) => {
    const { statusCommand } = await import('./config/status.ts');
    return statusCommand(source, flags, signal);
  });

  const explain = config
    .command('explain')
    .description('tell where a value comes from')
    .argument('<path>', 'agents.writer.llm, or a whole section')
    .addHelpText('after', precedence);
  run(formatted(explain), async (source, flags: FormatFlags, signal, [path = '']) => {
    const { explainCommand } = await import('./config/explain.ts');
    return explainCommand(source, path, flags, signal);
  });
}

function formatted(command: Command): Command {
  const format = new Option('--format <format>', 'how the result is shown').choices(['pretty', 'json']);
  return command.addOption(format.default('pretty'));
}

function applying(command: Command): Command {
  return formatted(command)
    .option('--force', 'also if it is not valid, or empty')
    .option('--message <text>', 'what the history says about it')
    .option('--wait', 'until every replica runs it')
    .addOption(new Option('--timeout <duration>', 'but no longer than this').argParser(duration).default(60_000, '60s'))
    .addHelpText('after', codes);
}

const onProgress = (line: string) => void process.stderr.write(`${line}\n`);

type Action<F> = (source: ConfigSource, flags: F, signal: AbortSignal, args: readonly string[]) => Promise<Output>;

/** With the source open for as long as the action takes. */
function run<F>(command: Command, action: Action<F>): void {
  sourceOptions(command)
    .addHelpText('after', where)
    .action(async () => {
      const flags = command.opts<SourceFlags & F>();
      const ending = new AbortController();
      await using source = await opened(flags);
      try {
        const output = await action(source, flags, ending.signal, command.processedArgs as string[]);
        process.stderr.write(output.stderr ?? '');
        await print(output.stdout ?? '');
        process.exitCode = output.code;
      } finally {
        ending.abort();
      }
    });
}

function duration(text: string): number {
  if (/^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$/.test(text)) return milliseconds(text);
  throw new InvalidArgumentError('It must be a duration: 500ms, 30s, 2m.');
}

async function opened(flags: SourceFlags): Promise<ConfigSource> {
  const { openSource } = await import('./source.ts');
  return openSource(flags);
}
