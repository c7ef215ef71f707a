import { history, type Revision } from '../../../core/config/revisions.ts';
import type { Output } from '../output.ts';
import type { EditableSource } from './editable-source.ts';
import { age, json, plain, short, table } from './table.ts';

/** The revisions that are kept, newest first. */
export async function historyCommand(
  source: EditableSource,
  { format }: { readonly format: 'pretty' | 'json' },
  signal: AbortSignal,
): Promise<Output> {
  const entries = await history(source.provider, signal);
  const { revision, missing } = await source.read(signal);
  const current = missing ? undefined : revision;
  const at = entries.findIndex((entry) => entry.revision === current);
  if (format === 'json') {
    const revisions = entries.map(({ kind, pieces, ...entry }, index) => ({ ...entry, current: index === at }));
    return { code: 0, stdout: json({ source: source.source, current: current ?? null, revisions }) };
  }
  if (entries.length === 0)
    return { code: 0, stderr: `${source.source} has no history yet: nothing was pushed to it.\n` };
  const now = Date.now();
  const rows = entries.map((entry, index) => row(entry, index === at, now));
  const note =
    at === 0 || current === undefined
      ? ''
      : `The current revision ${current} was not pushed by hector: the next push puts it into the history.\n`;
  return { code: 0, stdout: table([['', 'REVISION', 'HASH', 'AGE', 'BYTES', 'BY', 'MESSAGE'], ...rows]), stderr: note };
}

function row({ revision, content_hash, at, bytes, by, message }: Revision, isCurrent: boolean, now: number): string[] {
  const shown = [isCurrent ? '*' : '', short(revision), content_hash.slice(0, 12), age(at, now), String(bytes)];
  return [...shown, plain(by ?? '(found)'), plain(message ?? '')];
}
