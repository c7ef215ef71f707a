import { HectorError } from '../../../core/errors.ts';
import type { Output } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import { type Change, changeOf } from './change.ts';
import { readLocal } from './content.ts';
import type { EditableSource } from './editable-source.ts';
import { planText } from './plan-text.ts';
import { awaitReplicas } from './replicas.ts';
import { json } from './table.ts';
import { ConflictError, conflictWith, writeChange } from './write.ts';

export interface ApplyFlags {
  readonly force?: boolean;
  readonly message?: string;
  /** Until every replica runs it. */
  readonly wait?: boolean;
  readonly timeoutMs: number;
  readonly format: 'pretty' | 'json';
  /** Told at once: whoever waits wants to know for what. */
  readonly onProgress?: (line: string) => void;
}

export interface PushFlags extends ApplyFlags {
  readonly ifMatch?: string;
  readonly dryRun?: boolean;
}

/** Writes a file or a folder to the source, if it is valid and the source is what it was when this began. */
export async function pushCommand(
  source: EditableSource,
  path: string,
  flags: PushFlags,
  signal: AbortSignal,
): Promise<Output> {
  const { ifMatch, dryRun = false, force } = flags;
  checkWait(source, flags);
  const current = await source.read(signal);
  const local = await readLocal(path, current.entries !== undefined);
  if (ifMatch !== undefined && (current.missing || current.revision !== ifMatch)) {
    return conflict(await conflictWith(source, ifMatch, undefined, signal), flags);
  }
  const change = await changeOf(source, current, { ...local, force });
  const notes = local.ignored.map((name) => `${name} is no part of a configuration and is not pushed.`);
  return applyChange(source, { ...change, notes: [...notes, ...change.notes] }, { ...flags, dryRun }, signal);
}

export function checkWait({ source, provider }: EditableSource, { wait = false }: ApplyFlags): void {
  if (wait && !provider.annex?.announce)
    throw new UsageError(`--wait: ${source} cannot say which replicas run it. Ask each for GET /api/config/status.`);
}

/** Shows the plan, writes, and waits where that is wanted. */
export async function applyChange(
  source: EditableSource,
  change: Change,
  flags: ApplyFlags & { readonly dryRun?: boolean },
  signal: AbortSignal,
): Promise<Output> {
  const { current, content_hash, plan, same } = change;
  const previous = current.missing ? undefined : current.revision;
  const report = { source: source.source, previous_revision: previous ?? null, content_hash, plan: plan ?? null };
  const shown = plan ? planText(plan) : '';
  const notes = change.notes.map((note) => `${note.trimEnd()}\n`).join('');
  const result = (
    code: number,
    written: boolean,
    revision: string | undefined,
    text: string,
    more: Partial<Told> = {},
  ) => ({
    code,
    stderr: `${notes}${more.stderr ?? ''}`,
    stdout:
      flags.format === 'json'
        ? json({ ...report, written, revision: revision ?? null, ...(more.replicas && { replicas: more.replicas }) })
        : text,
  });
  const at = previous === undefined ? 'there is nothing yet' : `revision ${previous}`;
  if (same) {
    // Nothing is written, and a replica may be behind all the same.
    const told = flags.wait ? await waited(source, { revision: current.revision, content_hash }, flags, signal) : {};
    const text = `Nothing to change: ${source.source} says this already (${at}).\n`;
    return result(told.code ?? 0, false, previous, text, told);
  }
  const head = `${source.source} (${at}):\n${shown}`;
  if (flags.dryRun) return result(0, false, previous, `${head}Nothing was written (--dry-run).\n`);
  let written: Awaited<ReturnType<typeof writeChange>>;
  try {
    written = await writeChange(source, change, flags.message, signal);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return conflict(error, flags);
  }
  const warning = written.warning === undefined ? '' : `${written.warning}\n`;
  const told = flags.wait ? await waited(source, written, flags, signal) : {};
  const text = `${head}Written: revision ${written.revision}.\n`;
  return result(told.code ?? 0, true, written.revision, text, { ...told, stderr: `${warning}${told.stderr ?? ''}` });
}

interface Told {
  readonly code: number;
  readonly stderr: string;
  readonly replicas: readonly object[];
}

async function waited(
  { provider }: EditableSource,
  wanted: { readonly revision: string; readonly content_hash: string },
  { timeoutMs, onProgress }: ApplyFlags,
  signal: AbortSignal,
): Promise<Partial<Told>> {
  if (!provider.annex) throw new HectorError('no_annex', 'The source cannot say which replicas run it.');
  onProgress?.(`Waiting until every replica runs revision ${wanted.revision} …`);
  const { replicas, missing } = await awaitReplicas(provider.annex, wanted, timeoutMs, signal);
  const told = replicas.map(({ instance, status }) => ({ instance, ...status }));
  if (missing.length > 0) {
    const list = missing.map((line) => `  ${line}\n`).join('');
    return { code: 4, replicas: told, stderr: `Not every replica runs revision ${wanted.revision}:\n${list}` };
  }
  const count = replicas.length;
  const all =
    count === 0 ? 'No replica is there.' : count === 1 ? 'The one replica runs it.' : `All ${count} replicas run it.`;
  return { replicas: told, stderr: `${all}\n` };
}

export function conflict(error: ConflictError, { format }: Pick<ApplyFlags, 'format'>): Output {
  const stdout = format === 'json' ? json({ written: false, error: { code: error.code, message: error.message } }) : '';
  return { code: 3, stdout, stderr: `error: ${error.message}\n` };
}
