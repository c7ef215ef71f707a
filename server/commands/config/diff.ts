import { isEmptyPlan } from '../../../core/config/plan.ts';
import { Secrets } from '../../../core/config/secrets.ts';
import { showable } from '../../../core/config/sensitive.ts';
import type { ConfigContent } from '../../../core/extension/config-provider.ts';
import type { Output } from '../output.ts';
import { changeOf } from './change.ts';
import { readLocal } from './content.ts';
import type { EditableSource } from './editable-source.ts';
import { lineDiff } from './line-diff.ts';
import { planText } from './plan-text.ts';
import { json } from './table.ts';

/** What a push would change: of the meaning, and of the texts. Exit code 0 where they are the same, 1 where not. */
export async function diffCommand(
  source: EditableSource,
  path: string,
  { format }: { readonly format: 'pretty' | 'json' },
  signal: AbortSignal,
): Promise<Output> {
  const current = await source.read(signal);
  const local = await readLocal(path, current.entries !== undefined);
  const { content, same, before, after, plan, notes } = await changeOf(source, current, local);
  const secrets = new Secrets([before, after].flatMap((snapshot) => [...(snapshot?.secrets.values ?? [])]));
  const texts = textDiff({ name: source.source, of: current }, { name: path, of: content }, secrets);
  const stderr = notes.map((note) => `${note.trimEnd()}\n`).join('');
  const code = same ? 0 : 1;
  if (format === 'json') {
    const revision = current.missing ? null : current.revision;
    return { code, stdout: json({ source: source.source, revision, same, plan: plan ?? null, diff: texts }), stderr };
  }
  if (same) return { code, stderr: `${stderr}${path} is what ${source.source} says.\n` };
  return { code, stdout: `${plan && !isEmptyPlan(plan) ? `${planText(plan)}\n` : ''}${texts}`, stderr };
}

interface Side {
  readonly name: string;
  readonly of: ConfigContent;
}

function textDiff(before: Side, after: Side, secrets: Secrets): string {
  const [old, now] = [textsOf(before.of), textsOf(after.of)];
  const out: string[] = [];
  for (const path of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [a, b] = [old.get(path), now.get(path)];
    if (a === b) continue;
    const named = ({ name }: Side, text: string | undefined) =>
      text === undefined ? '/dev/null' : path === '' ? name : `${name.replace(/\/$/, '')}/${path}`;
    const shown = (text: string | undefined) => linesOf(text === undefined ? undefined : showable(text, secrets));
    const hunks = lineDiff(linesOf(a), linesOf(b), shown(a), shown(b));
    out.push(`--- ${named(before, a)}\n+++ ${named(after, b)}\n${hunks}`);
  }
  return out.join('');
}

function textsOf({ text, entries }: ConfigContent): ReadonlyMap<string, string> {
  return entries ?? new Map(text === '' ? [] : [['', text]]);
}

/** The last line's end is a difference as well, and a line of its own is not shown for it. */
function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  else lines[lines.length - 1] += ' (no line break at the end)';
  return lines;
}
