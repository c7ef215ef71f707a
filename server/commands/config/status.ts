import { contentHash } from '../../../core/config/content-hash.ts';
import type { Output } from '../output.ts';
import type { EditableSource } from './editable-source.ts';
import { type Replica, readReplicas, runs } from './replicas.ts';
import { age, json, plain, table } from './table.ts';

/** What the source has, and which replica runs what. Exit code 0 when all run the newest. */
export async function statusCommand(
  opened: EditableSource,
  { format }: { readonly format: 'pretty' | 'json' },
  signal: AbortSignal,
): Promise<Output> {
  const { provider, source } = opened;
  const current = await opened.read(signal);
  const content_hash = current.missing ? null : contentHash(current);
  const revision = current.missing ? null : current.revision;
  const { annex } = provider;
  const replicas = annex?.announce ? await readReplicas(annex, signal) : undefined;
  const behind = replicas?.filter((replica) => content_hash === null || !runs(replica, content_hash)) ?? [];
  const code = behind.length === 0 ? 0 : 1;
  if (format === 'json') {
    const told = replicas?.map((replica) => ({
      instance: replica.instance,
      runs_newest: !behind.includes(replica),
      ...replica.status,
    }));
    return { code, stdout: json({ source, revision, content_hash, replicas: told ?? null }) };
  }
  const what = content_hash === null ? 'nothing is there' : `revision ${revision} (${content_hash.slice(0, 12)})`;
  const head = `${source}: ${what}\n`;
  if (!replicas)
    return {
      code,
      stdout: head,
      stderr: 'This source cannot say which replicas run it: ask each for GET /api/config/status.\n',
    };
  if (replicas.length === 0) return { code, stdout: head, stderr: 'No replica is there.\n' };
  const now = Date.now();
  const columns = ['INSTANCE', 'STATE', 'REVISION', 'NEWEST', 'GENERATION', 'SINCE', 'RESTART', 'ERROR'];
  const rows = replicas.map((replica) => row(replica, !behind.includes(replica), now));
  return { code, stdout: `${head}\n${table([columns, ...rows])}` };
}

function row({ instance, status }: Replica, isNewest: boolean, now: number): string[] {
  if (!status)
    return [plain(instance), 'unreadable', '-', 'no', '-', '-', '-', 'what it says of itself cannot be read'];
  const { state, serving, error, connection_error } = status;
  return [
    plain(instance),
    plain(state),
    plain(serving?.revision ?? '-'),
    isNewest ? 'yes' : 'no',
    String(serving?.generation ?? '-'),
    serving ? age(serving.at, now) : '-',
    plain(serving?.restart_required.join(',') || '-'),
    plain(error?.message ?? connection_error ?? ''),
  ];
}
