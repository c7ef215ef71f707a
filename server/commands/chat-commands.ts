import { type Command, InvalidArgumentError } from 'commander';
import { milliseconds } from '../../core/config/language/common.ts';
import type { ChatFlags } from './chat.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

const usage = `
hector chat                        the default agent of .hector/config.yaml
hector chat writer -c config.yaml  an agent of a file, in a runtime of this process alone
hector chat http://localhost:8080  an agent of a server: the address is that of an agent, its card, or the server

With --message, or a text on standard input, there is one message, and standard output gets the answer and nothing else.
The token is better in the environment, HECTOR_TOKEN, or in a file: other users of the machine can see a command line.
Exit codes: 0 answered; 1 the task failed, waits for more, or the agent cannot be reached; 2 the command line is wrong;
130 after Ctrl-C.
`;

/** The flags that say who asks, and whom. */
export function remoteOptions(command: Command): Command {
  return command
    .option('--agent <name>', 'which of the server’s agents')
    .option('--token <token>', 'sent as a bearer token (default: HECTOR_TOKEN)')
    .option('--token-file <file>', 'the file that holds the token')
    .option('--header <line>', 'a header to send, "Name: value"; may be repeated', collect);
}

export function chatCommands(hector: Command): void {
  remoteOptions(
    hector
      .command('chat')
      .description('talk to an agent: of a file, or of any A2A server')
      .argument('[agent|url]', 'the name of an agent, or an address (default: the default agent of the file)')
      .option('-c, --config <file>', 'the configuration (default: .hector/config.yaml if it is there)')
      .option('-m, --message <text>', 'send one message, print the answer and leave'),
  )
    .option('--context <id>', 'continue this conversation')
    .option('--task <id>', 'answer this task, which waits for it')
    .option('--timeout <duration>', 'how long an answer may take, 30s or 5m; then its task is canceled', duration)
    .option('--save-files <folder>', 'keep the files of answers there')
    .option('--json', 'print every event as a line of JSON')
    .option('--verbose', 'with an agent of a file: show its log')
    .addHelpText('after', usage)
    .action(async (target: string | undefined, flags: ChatFlags) => {
      const { chatCommand } = await import('./chat.ts');
      process.exitCode = await chatCommand(target, flags);
    });
}

function collect(line: string, before: readonly string[] = []): readonly string[] {
  return [...before, line];
}

function duration(text: string): number {
  const ms = /^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text) ? milliseconds(text) : 0;
  // A timer cannot be set for longer.
  if (ms > 0 && ms < 2 ** 31) return ms;
  throw new InvalidArgumentError('It must be a duration: 500ms, 30s, 5m.');
}
