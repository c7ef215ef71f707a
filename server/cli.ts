#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../core/config/issue.ts';
import { HectorError } from '../core/errors.ts';
import { chatCommands } from './commands/chat-commands.ts';
import { configCommands, sourceOptions } from './commands/config-commands.ts';
import { dbCommands } from './commands/db-commands.ts';
import type { InitFlags } from './commands/init.ts';
import { type Output, print, showsColor } from './commands/output.ts';
import type { SchemaFlags } from './commands/schema.ts';
import type { ServeFlags } from './commands/serve.ts';
import { sessionsCommands } from './commands/sessions-commands.ts';
import { tasksCommands } from './commands/tasks-commands.ts';
import type { ValidateFlags } from './commands/validate.ts';
import { version } from './version.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

const precedence = `
Settings come from, the first wins: flags, environment variables (LOG_LEVEL, LOG_FORMAT, LOG_FILE), the file, defaults.
The file is --config, else .hector/config.yaml if it is there; without one, an agent "assistant" is served on the provider
whose key is in the environment (ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY), else on the embedded model "echo".
\${VAR} in the file is looked up in the environment, then in .env beside the file, in the working directory and in ~/.hector.
--provider to --max-tokens act on the default LLM, --instruction and --tools on the default agent.
A key on the command line can be seen by other users of the machine: prefer the environment.
`;

function program(): Command {
  const hector = new Command('hector')
    .description('Serves AI agents, declared in YAML, over the A2A protocol.')
    .version(version, '-v, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(add --help for what is possible)')
    .helpOption('-h, --help', 'print this help');

  hector
    .command('init')
    .description('write a configuration to start from: config.yaml, .env.example and .gitignore')
    .argument('[folder]', 'where', '.')
    .option('-y, --yes', 'ask nothing')
    .option('--provider <name>', 'the LLM provider (default: the one whose key is in the environment, else echo)')
    .option('--model <name>', 'the model (default: the provider’s)')
    .option('--force', 'write over what is there')
    .action(async (folder: string, flags: InitFlags) => {
      const { initCommand } = await import('./commands/init.ts');
      await finish(await initCommand(folder, flags));
    });

  sourceOptions(hector.command('serve'))
    .description('serve the agents of a configuration')
    .option('--watch', 'follow the configuration: serve what it says as soon as it changes')
    .option('--studio', 'let programs on this machine read and change the configuration over HTTP; implies --watch')
    .option('--host <address>', 'the address to listen on')
    .option('--port <number>', 'the port to listen on, 0 for any', port)
    .option('--provider <name>', 'the LLM provider: openai, anthropic, gemini, ollama, echo, or a plugin’s')
    .option('--model <name>', 'the model')
    .option('--api-key <key>', 'the key for the provider')
    .option('--base-url <url>', 'where the provider is reached')
    .option('--temperature <number>', 'from 0 to 2', temperature)
    .option('--max-tokens <number>', 'the most that one answer may take', positive)
    .option('--instruction <text>', 'what the agent is told to do')
    .option('--tools <list>', 'all, none, or names with commas between them')
    .option('--mcp-url <url>', 'an MCP server whose tools the agents get, as the entry "mcp" of tools')
    .addOption(
      new Option('--storage <kind>', 'what keeps tasks and conversations').choices(['inmemory', 'sqlite', 'postgres']),
    )
    .option('--storage-db <database>', 'its file, or its address (default: .hector/hector.db, DATABASE_URL)')
    .option('--observe', 'metrics, and traces to the collector of observability.tracing (default: localhost:4317)')
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['debug', 'info', 'warn', 'warning', 'error']),
    )
    .addOption(new Option('--log-format <format>', 'how it is logged').choices(['simple', 'verbose', 'json']))
    .option('--log-file <file>', 'where it is logged (default: standard error)')
    .addHelpText('after', precedence)
    .action(async (flags: ServeFlags) => {
      const { serveCommand } = await import('./commands/serve.ts');
      process.exitCode = await serveCommand(flags);
    });

  hector
    .command('validate')
    .description('check a configuration the way that serve takes it, without listening')
    .argument('<file>', 'the configuration')
    .addOption(new Option('--format <format>', 'how errors are shown').choices(['pretty', 'json']).default('pretty'))
    .option('--print-config', 'print the configuration with defaults filled in, and references instead of secrets')
    .action(async (file: string, flags: ValidateFlags) => {
      const { validateCommand } = await import('./commands/validate.ts');
      await finish(await validateCommand(file, flags));
    });

  hector
    .command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .option('-c, --config <file>', 'with the plugins that this configuration lists')
    .option('--compact', 'on one line')
    .action(async (flags: SchemaFlags) => {
      const { schemaCommand } = await import('./commands/schema.ts');
      await finish(await schemaCommand(flags));
    });

  hector
    .command('info')
    .description('list the agents of a configuration, or tell all about one')
    .argument('[agent]', 'the name of an agent')
    .option('-c, --config <file>', 'the configuration (default: .hector/config.yaml if it is there)')
    .action(async (agent: string | undefined, { config }: { config?: string }) => {
      const { infoCommand } = await import('./commands/info.ts');
      await finish(await infoCommand(agent, config));
    });

  hector
    .command('reload')
    .description(
      'for ExecReload= of a systemd unit: have a hector serve read its configuration, and wait for the outcome',
    )
    .argument('<pid>', 'its process id: $MAINPID', positive)
    .action(async (pid: number) => {
      const { reloadCommand } = await import('./commands/reload.ts');
      await finish(await reloadCommand(pid));
    });

  chatCommands(hector);
  tasksCommands(hector);
  configCommands(hector);
  dbCommands(hector);
  sessionsCommands(hector);

  hector
    .command('version')
    .description('print the version')
    .action(async () => {
      const { versionCommand } = await import('./commands/version.ts');
      await finish(versionCommand());
    });
  return hector;
}

async function finish({ code, stdout = '', stderr = '' }: Output): Promise<void> {
  process.stderr.write(stderr);
  await print(stdout);
  process.exitCode = code;
}

function port(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && value <= 65_535) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 65535.');
}

function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 2) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 2.');
}

function positive(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,9}$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

/** 1: the configuration is wrong or the run failed. 2: the command line is wrong. */
async function exitCode(error: unknown): Promise<number> {
  // Commander has said what is wrong; asking for help or the version is none.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    const { formatReport } = await import('../core/config/report.ts');
    process.stderr.write(formatReport(error, { color: showsColor(process.stderr) }));
    return 1;
  }
  if (error instanceof HectorError) {
    process.stderr.write(`error: ${error.message}\n`);
    return error.code === 'usage' ? 2 : 1;
  }
  process.stderr.write(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}

// Whoever reads may leave (`hector schema | head`).
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = await exitCode(error);
}
// A plugin that left something open does not keep a command from ending.
process.exit();
