import { Conversation } from './chat/conversation.ts';
import { interactive } from './chat/interactive.ts';
import type { LocalHector } from './chat/local.ts';
import { once } from './chat/once.ts';
import { SavedFiles } from './chat/saved-files.ts';
import { Screen } from './chat/screen.ts';
import { openRemote, type RemoteFlags } from './remote/open.ts';
import { oneLine } from './remote/text.ts';
import { UsageError } from './usage-error.ts';

export interface ChatFlags extends RemoteFlags {
  readonly config?: string;
  readonly message?: string;
  readonly json?: boolean;
  readonly timeout?: number;
  readonly saveFiles?: string;
  readonly context?: string;
  readonly task?: string;
  readonly verbose?: boolean;
}

const maxPiped = 16 * 1024 * 1024;

/** `target`: the address of an agent or its server, or the name of an agent of a file. */
export async function chatCommand(target: string | undefined, flags: ChatFlags): Promise<number> {
  const { stdin, stdout, stderr } = process;
  const address = target !== undefined && /[:/]/.test(target) ? target : undefined;
  check(address, flags);
  const { message, json = false } = flags;
  const single = message !== undefined || !stdin.isTTY;
  const text = single ? (message ?? (await piped(stdin))) : undefined;
  if (text?.trim() === '')
    throw new UsageError('There is nothing to send: give --message, or a text on standard input.');

  // With a person at the terminal, all there is to see is in one place.
  const notes = single || json || !stdout.isTTY ? stderr : stdout;
  const screen = new Screen({ answers: stdout, notes });
  const files = flags.saveFiles === undefined ? undefined : new SavedFiles(flags.saveFiles);
  const starting = new AbortController();
  const interrupt = () => starting.abort(new Interrupted());
  process.on('SIGINT', interrupt);
  const warnings: string[] = [];
  await using local = address === undefined ? await startRuntime(target, flags, warnings) : undefined;
  try {
    for (const warning of warnings) await screen.note(`Warning: ${warning}`);
    const remote = local
      ? await openRemote(
          `${local.url}/agents/${encodeURIComponent(local.agent)}`,
          { token: local.token },
          starting.signal,
        )
      : await openRemote(address ?? '', flags, starting.signal);
    process.off('SIGINT', interrupt);
    const { context: contextId, task: taskId, timeout: timeoutMs } = flags;
    const conversation = new Conversation({ agent: remote.agent, contextId, taskId, timeoutMs });
    const options = { conversation, screen, json, files };
    if (text !== undefined) return await once(text, { ...options, address: addressShown(address, flags) });
    const terminal = { input: stdin, output: notes };
    return await interactive({ ...options, terminal, names: () => remote.names(AbortSignal.timeout(namesMs)) });
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    throw error;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** Not loaded for talking to a server. */
async function startRuntime(name: string | undefined, flags: ChatFlags, warnings: string[]): Promise<LocalHector> {
  const { startLocal } = await import('./chat/local.ts');
  return startLocal(name, flags, (warning) => void warnings.push(warning));
}

const namesMs = 15_000;

class Interrupted extends Error {}

function check(address: string | undefined, flags: ChatFlags): void {
  if (address !== undefined) {
    if (flags.config !== undefined) {
      throw new UsageError('--config is for talking to an agent of a file: leave it out, or the address.');
    }
    return;
  }
  const remoteOnly = [
    ['agent', '--agent'],
    ['token', '--token'],
    ['tokenFile', '--token-file'],
    ['header', '--header'],
    ['context', '--context'],
    ['task', '--task'],
  ] as const;
  const [, given] = remoteOnly.find(([flag]) => flags[flag] !== undefined) ?? [];
  if (given !== undefined) {
    throw new UsageError(
      `${given} is for talking to a server: give its address, as in hector chat http://localhost:8080.`,
    );
  }
}

function addressShown(address: string | undefined, { agent }: ChatFlags): string | undefined {
  if (address === undefined) return undefined;
  return agent === undefined ? oneLine(address, 300) : `${oneLine(address, 300)} --agent ${oneLine(agent)}`;
}

async function piped(input: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxPiped)
      throw new UsageError(`What is on standard input is too long for a message (more than ${maxPiped >> 20} MiB).`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
