import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigStatus } from '../../../core/config/status.ts';
import { errorMessage } from '../../../core/errors.ts';
import type { ConfigAnnex } from '../../../core/extension/config-provider.ts';
import { plain } from './table.ts';

const folder = 'replicas';
const pollMs = 250;

/** What a replica has told of itself; `status` is absent where it cannot be read. */
export interface Replica {
  readonly instance: string;
  readonly status?: ConfigStatus;
}

/** Every replica that runs now, by name. */
export async function readReplicas(annex: ConfigAnnex, signal: AbortSignal): Promise<Replica[]> {
  const replicas: Replica[] = [];
  for (const instance of [...(await annex.list(folder, signal))].sort()) {
    const text = await annex.read(`${folder}/${instance}`, signal);
    // It has ended since.
    if (text === undefined) continue;
    const status = parseStatus(text);
    replicas.push({ instance, ...(status && { status }) });
  }
  return replicas;
}

function parseStatus(text: string): ConfigStatus | undefined {
  try {
    const status = JSON.parse(text) as Partial<ConfigStatus> | null;
    return typeof status?.state === 'string' ? (status as ConfigStatus) : undefined;
  } catch {
    return undefined;
  }
}

export const runs = ({ status }: Replica, content_hash: string): boolean =>
  status?.serving?.content_hash === content_hash;

export interface Awaited {
  readonly replicas: readonly Replica[];
  /** Of those that do not run it, one line each. */
  readonly missing: readonly string[];
}

interface Wanted {
  readonly revision: string;
  readonly content_hash: string;
}

/** Until every replica runs it, one has refused it, or the time is up. */
export async function awaitReplicas(
  annex: ConfigAnnex,
  wanted: Wanted,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Awaited> {
  const deadline = performance.now() + timeoutMs;
  let replicas: readonly Replica[] = [];
  let failure: string | undefined;
  for (;;) {
    try {
      replicas = await readReplicas(annex, AbortSignal.any([signal, AbortSignal.timeout(Math.max(timeoutMs, 1_000))]));
      failure = undefined;
    } catch (error) {
      signal.throwIfAborted();
      failure = `The replicas cannot be listed: ${errorMessage(error)}`;
    }
    const others = replicas.filter((replica) => !runs(replica, wanted.content_hash));
    const isDone = failure === undefined && (others.length === 0 || others.some((each) => hasRefused(each, wanted)));
    if (isDone || performance.now() >= deadline) {
      const missing = others.map((replica) => whyNot(replica, wanted));
      return { replicas, missing: failure === undefined ? missing : [failure, ...missing] };
    }
    await sleep(pollMs, undefined, { signal });
  }
}

const hasRefused = ({ status }: Replica, { revision, content_hash }: Wanted) =>
  status?.error?.content_hash === content_hash && status.error.revision === revision;

function whyNot(replica: Replica, wanted: Wanted): string {
  const { instance, status } = replica;
  if (!status) return `${instance}: what it says of itself cannot be read`;
  const serving = status.serving ? `runs revision ${status.serving.revision}` : 'runs nothing yet';
  if (hasRefused(replica, wanted))
    return `${instance}: has refused it, ${serving}: ${plain(status.error?.message ?? '')}`;
  if (!status.watching)
    return `${instance}: ${serving}, and does not follow the source (it was started without --watch)`;
  if (status.connection_error !== undefined)
    return `${instance}: ${serving}, and cannot reach the source: ${plain(status.connection_error)}`;
  return `${instance}: ${serving}`;
}
