import { findRevision, history, revisionContent } from '../../../core/config/revisions.ts';
import { HectorError } from '../../../core/errors.ts';
import type { Output } from '../output.ts';
import { changeOf } from './change.ts';
import type { EditableSource } from './editable-source.ts';
import { type ApplyFlags, applyChange, checkWait } from './push.ts';
import { short } from './table.ts';

/** Writes an earlier revision anew: the one before the current, or the one that is named. */
export async function rollbackCommand(
  source: EditableSource,
  id: string | undefined,
  flags: ApplyFlags & { readonly dryRun?: boolean },
  signal: AbortSignal,
): Promise<Output> {
  checkWait(source, flags);
  if (source.history === 0)
    throw new HectorError(
      'no_history',
      `${source.source} keeps no history: config.history is 0. Push what it was before.`,
    );
  const current = await source.read(signal);
  const entries = await history(source.provider, signal);
  const target = findRevision(entries, id ?? '-1', current.missing ? undefined : current.revision);
  const content = await revisionContent(source.provider, target, signal);
  const name = `${source.source} of revision ${target.revision}`;
  const change = await changeOf(source, current, { content: () => content, name, force: flags.force });
  return applyChange(source, change, { message: `rollback to ${short(target.revision)}`, ...flags }, signal);
}
