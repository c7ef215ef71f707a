import { HectorError } from '../../core/errors.ts';
import type { SessionStore, StoredSession } from '../../core/extension/storage-backend.ts';
import type { ChatMessage } from '../../core/message.ts';
import { messageToJson } from '../../core/message-json.ts';
import { age, table } from './config/table.ts';
import { loadSnapshot, openDatabase, reasonOf, type StorageFlags, sessionsDatabase } from './db/storage.ts';
import type { Output } from './output.ts';
import { harmless, jsonLine, oneLine } from './remote/text.ts';
import { sessionText } from './sessions/session-text.ts';

export interface ListSessionsFlags extends StorageFlags {
  readonly owner?: string;
  readonly agent?: string;
  readonly limit: number;
  readonly json?: boolean;
}

/** Which one is meant, beside its ID. */
export interface SessionFlags extends StorageFlags {
  readonly owner: string;
  readonly agent: string;
  readonly json?: boolean;
}

const maxPage = 100;

/** Last used first. */
export async function listSessions(flags: ListSessionsFlags, signal: AbortSignal): Promise<Output> {
  return await withSessions(flags, signal, async (store, where) => {
    if (!store.list) throw cannot(where, 'list');
    const { owner, agent, limit } = flags;
    const of = { ...(owner !== undefined && { owner }), ...(agent !== undefined && { agent }) };
    const sessions: StoredSession[] = [];
    let pageToken: string | undefined;
    do {
      signal.throwIfAborted();
      const pageSize = Math.min(maxPage, limit - sessions.length);
      const page = await store.list({ ...of, pageSize, ...(pageToken !== undefined && { pageToken }) });
      sessions.push(...page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined && sessions.length < limit);
    if (flags.json) return { code: 0, stdout: sessions.map((session) => `${jsonLine(session)}\n`).join('') };
    if (sessions.length === 0) return { code: 0, stderr: 'There are no such conversations.\n' };
    const more = pageToken === undefined ? '' : `${sessions.length} of more; --limit shows more.\n`;
    return { code: 0, stdout: listing(sessions), stderr: more };
  });
}

/** What was said in it, oldest first. Exit code 1 where it is not there. */
export async function showSession(contextId: string, flags: SessionFlags, signal: AbortSignal): Promise<Output> {
  const { owner, agent } = flags;
  return await withSessions(flags, signal, async (store, where) => {
    const messages = await store.history({ owner, agent, contextId });
    if (messages.length === 0) return missing(where, contextId, flags);
    if (!flags.json) return { code: 0, stdout: sessionText(messages) };
    const json = (message: ChatMessage) => `${jsonLine(JSON.parse(messageToJson(message)))}\n`;
    return { code: 0, stdout: messages.map(json).join('') };
  });
}

/** Exit code 1 where it was not there. */
export async function deleteSession(contextId: string, flags: SessionFlags, signal: AbortSignal): Promise<Output> {
  const { owner, agent } = flags;
  return await withSessions(flags, signal, async (store, where) => {
    if (!store.delete) throw cannot(where, 'delete');
    if (!(await store.delete({ owner, agent, contextId }))) return missing(where, contextId, flags);
    return { code: 0, stdout: `Deleted the ${called(contextId, flags)}.\n` };
  });
}

function called(contextId: string, { owner, agent }: SessionFlags): string {
  return `conversation ${oneLine(contextId)} of "${oneLine(owner)}" with the agent "${oneLine(agent)}"`;
}

function missing(where: string, contextId: string, flags: SessionFlags): Output {
  const what = called(contextId, flags);
  return { code: 1, stderr: `error: ${where} has no ${what}. hector sessions list shows those that are there.\n` };
}

async function withSessions(
  flags: StorageFlags,
  signal: AbortSignal,
  work: (store: SessionStore, where: string) => Promise<Output>,
): Promise<Output> {
  const snapshot = await loadSnapshot(flags);
  const database = sessionsDatabase(snapshot);
  try {
    await using opened = await openDatabase(snapshot, database, signal);
    return await work(opened.backend.sessions, `databases.${database.name}`);
  } catch (error) {
    signal.throwIfAborted();
    return { code: 1, stderr: `error: ${reasonOf(snapshot, database, error)}\n` };
  }
}

function cannot(where: string, what: string): HectorError {
  return new HectorError('sessions_unsupported', `${where} has a driver that cannot ${what} conversations.`);
}

function listing(sessions: readonly StoredSession[]): string {
  const now = Date.now();
  const rows = sessions.map(({ owner, agent, contextId, messages, updatedAt }) => [
    harmless(owner),
    harmless(agent),
    harmless(contextId),
    String(messages),
    age(updatedAt, now),
  ]);
  return table([['OWNER', 'AGENT', 'CONTEXT', 'MESSAGES', 'USED'], ...rows]);
}
