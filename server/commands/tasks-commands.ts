import { type Command, InvalidArgumentError } from 'commander';
import { remoteOptions } from './chat-commands.ts';
import { type Output, print } from './output.ts';
import type { ListFlags, TasksFlags } from './tasks.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

const usage = `
The address is that of an agent, its card, or its server. Exit codes: 0 done; 1 the server refuses, or cannot be reached;
2 the command line is wrong.
`;

const states: readonly string[] = [
  'submitted',
  'working',
  'completed',
  'failed',
  'canceled',
  'input-required',
  'rejected',
  'auth-required',
];

export function tasksCommands(hector: Command): void {
  const tasks = hector.command('tasks').description('look at the tasks of an agent on any A2A server');

  options(tasks.command('list').description('list the tasks, the latest first'))
    .option('--limit <number>', 'how many', limit, 20)
    .option('--context <id>', 'those of one conversation')
    .option('--state <state>', `those that are ${states.join(', ')}`, state)
    .action(async (flags: ListFlags) => {
      const { listTasks } = await import('./tasks.ts');
      await finish(await listTasks(flags));
    });

  options(tasks.command('get').description('show a task').argument('<id>', 'the ID of the task')).action(
    async (id: string, flags: TasksFlags) => {
      const { getTask } = await import('./tasks.ts');
      await finish(await getTask(id, flags));
    },
  );

  options(tasks.command('cancel').description('cancel a task').argument('<id>', 'the ID of the task')).action(
    async (id: string, flags: TasksFlags) => {
      const { cancelTask } = await import('./tasks.ts');
      await finish(await cancelTask(id, flags));
    },
  );
}

function options(command: Command): Command {
  command.requiredOption('--url <address>', 'where the agent is');
  return remoteOptions(command).option('--json', 'print JSON, a task on a line').addHelpText('after', usage);
}

async function finish({ code, stdout = '', stderr = '' }: Output): Promise<void> {
  await print(stdout);
  process.stderr.write(stderr);
  process.exitCode = code;
}

function limit(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

function state(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/^task_state_/, '')
    .replaceAll('_', '-');
  if (states.includes(name)) return `TASK_STATE_${name.toUpperCase().replaceAll('-', '_')}`;
  throw new InvalidArgumentError(`It must be one of ${states.join(', ')}.`);
}
