import { HectorError } from '../../core/errors.ts';
import { age, table } from './config/table.ts';
import type { Output } from './output.ts';
import type { RemoteAgent } from './remote/agent.ts';
import { openRemote, type RemoteFlags } from './remote/open.ts';
import { harmless, jsonLine, oneLine } from './remote/text.ts';
import { stateName, textOf, type WireTask } from './remote/wire.ts';
import { taskText } from './tasks/task-text.ts';

export interface TasksFlags extends RemoteFlags {
  readonly url: string;
  readonly json?: boolean;
}

export interface ListFlags extends TasksFlags {
  readonly limit: number;
  readonly context?: string;
  /** `TASK_STATE_WORKING` */
  readonly state?: string;
}

const waitMs = 30_000;
/** As many as a server may be asked for at once. */
const maxPage = 100;

export async function listTasks(flags: ListFlags): Promise<Output> {
  const { agent, signal } = await open(flags);
  if (agent.version.startsWith('0.')) {
    throw new HectorError(
      'remote_refused',
      `The agent ${oneLine(agent.name)} at ${oneLine(agent.url, 300)} speaks A2A ${agent.version}, which cannot list tasks: that came with 1.0. A task whose ID you know is shown by hector tasks get.`,
    );
  }
  const { limit, context: contextId, state: status } = flags;
  const tasks: WireTask[] = [];
  let total = 0;
  let pageToken: string | undefined;
  do {
    const pageSize = Math.min(maxPage, limit - tasks.length);
    const page = await agent.tasks({ contextId, status, pageSize, pageToken }, signal);
    tasks.push(...page.tasks.slice(0, pageSize));
    total = page.totalSize;
    // A server that gives nothing and says that there is more would be asked for ever.
    pageToken = page.tasks.length > 0 ? page.nextPageToken : '';
  } while (pageToken !== '' && tasks.length < limit);
  if (flags.json) return { code: 0, stdout: tasks.map((task) => `${jsonLine(task)}\n`).join('') };
  if (tasks.length === 0) return { code: 0, stderr: 'There are no such tasks.\n' };
  const more =
    pageToken === '' ? '' : `${tasks.length} of ${total > tasks.length ? total : 'more'}; --limit shows more.\n`;
  return { code: 0, stdout: listing(tasks), stderr: more };
}

export async function getTask(id: string, flags: TasksFlags): Promise<Output> {
  const { agent, signal } = await open(flags);
  const task = await agent.task(id, signal);
  return { code: 0, stdout: flags.json ? `${jsonLine(task)}\n` : taskText(task) };
}

/** Exit code 1 where the task has not been cancelled. */
export async function cancelTask(id: string, flags: TasksFlags): Promise<Output> {
  const { agent, signal } = await open(flags);
  const task = await agent.cancel(id, signal);
  const state = stateName(task.status?.state);
  const code = state === 'canceled' ? 0 : 1;
  if (flags.json) return { code, stdout: `${jsonLine(task)}\n` };
  if (code === 0) return { code, stdout: `The task ${oneLine(id)} is canceled.\n` };
  return { code, stderr: `error: The task ${oneLine(id)} is not canceled, but ${oneLine(state)}.\n` };
}

async function open(flags: TasksFlags): Promise<{ agent: RemoteAgent; signal: AbortSignal }> {
  const signal = AbortSignal.timeout(waitMs);
  signal.addEventListener('abort', () => {});
  const { agent } = await openRemote(flags.url, flags, signal);
  return { agent, signal };
}

function listing(tasks: readonly WireTask[]): string {
  const now = Date.now();
  const rows = tasks.map(({ id, contextId = '', status, history }) => [
    harmless(id),
    oneLine(stateName(status?.state)),
    oneLine(contextId),
    status?.timestamp === undefined ? '-' : age(status.timestamp, now),
    oneLine(textOf(status?.message?.parts) || textOf(history?.at(-1)?.parts), 50),
  ]);
  return table([['ID', 'STATE', 'CONTEXT', 'AGE', 'TEXT'], ...rows]);
}
