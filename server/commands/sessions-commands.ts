import { type Command, InvalidArgumentError } from 'commander';
import { run } from './db-commands.ts';
import type { ListSessionsFlags, SessionFlags } from './sessions.ts';

// Commands are imported when they run, so that each starts with no more than it needs.

export function sessionsCommands(hector: Command): void {
  const sessions = hector.command('sessions').description('look at the conversations that a database keeps');

  const list = sessions
    .command('list')
    .description('list them, the last used first')
    .option('--owner <subject>', 'those of one caller')
    .option('--agent <name>', 'those with one agent')
    .option('--limit <number>', 'how many', limit, 20)
    .option('--json', 'print JSON, a conversation on a line');
  run(list, async (flags: ListSessionsFlags, signal) => {
    const { listSessions } = await import('./sessions.ts');
    return listSessions(flags, signal);
  });

  const show = one(
    sessions.command('show').description('print one, the oldest message first; exit code 1 if not there'),
  );
  run(
    show.option('--json', 'print JSON, a message on a line'),
    async (flags: SessionFlags, signal, [contextId = '']) => {
      const { showSession } = await import('./sessions.ts');
      return showSession(contextId, flags, signal);
    },
  );

  const remove = sessions
    .command('delete')
    .description('delete one with all its messages; exit code 1 if it is not there');
  run(one(remove), async (flags: SessionFlags, signal, [contextId = '']) => {
    const { deleteSession } = await import('./sessions.ts');
    return deleteSession(contextId, flags, signal);
  });
}

function one(command: Command): Command {
  return command
    .argument('<context-id>', 'the ID of the conversation')
    .requiredOption('--owner <subject>', 'whose it is')
    .requiredOption('--agent <name>', 'the agent that it is with');
}

function limit(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
