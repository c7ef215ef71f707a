import { hostname, userInfo } from 'node:os';
import { ConfigError } from '../../../core/config/issue.ts';
import { planOf } from '../../../core/config/plan.ts';
import { history, type Revision, type Written, writeRevision } from '../../../core/config/revisions.ts';
import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';
import type { ConfigDocument } from '../../../core/extension/config-provider.ts';
import type { Change } from './change.ts';
import type { EditableSource } from './editable-source.ts';
import { planText } from './plan-text.ts';
import { age, plain } from './table.ts';

/** The revision has moved: exit code 3. */
export class ConflictError extends HectorError {
  constructor(message: string, options?: ErrorOptions) {
    super('conflict', message, options);
    this.name = 'ConflictError';
  }
}

/** Compare-and-set on the revision that the change was made from. Throws a ConflictError that says who was faster. */
export async function writeChange(
  source: EditableSource,
  { current, content, before }: Change,
  message: string | undefined,
  signal: AbortSignal,
): Promise<Written> {
  const { provider, history: keep } = source;
  const expected = current.missing ? undefined : current.revision;
  try {
    const [by, at] = [writer(), new Date()];
    return await writeRevision({ provider, content, expected, current, keep, by, at, message, signal });
  } catch (error) {
    if (errorCode(error) !== 'conflict') throw error;
    throw await conflictWith(source, expected, before, signal, error);
  }
}

/** What is there now in place of what was expected, whose it is, and what it changed. */
export async function conflictWith(
  source: EditableSource,
  expected: string | undefined,
  before: Change['before'],
  signal: AbortSignal,
  cause?: unknown,
): Promise<ConflictError> {
  const then = expected === undefined ? 'nothing was there' : `revision ${expected} was expected`;
  const advice = 'Nothing was written. Pull it, apply your change to what it says now, and push again.';
  let now: ConfigDocument;
  try {
    now = await source.read(signal);
  } catch (error) {
    const why = errorMessage(cause ?? error);
    return new ConflictError(`${source.source} has changed meanwhile (${then}): ${why} ${advice}`, { cause });
  }
  if (!now.missing && now.revision === expected)
    return new ConflictError(
      `${source.source} was being written by somebody else. Nothing was written; it is at the revision that was expected, so push again.`,
      { cause },
    );
  const is = now.missing ? 'nothing is there' : `it is at ${now.revision}`;
  const lines = [`${source.source} has changed meanwhile: ${then}, and ${is} now.`];
  const who = await whoWrote(source, now.revision, signal);
  if (who !== undefined) lines.push(who);
  const changes = await changesSince(source, before, now);
  if (changes !== undefined) lines.push(`What has changed since:\n${changes.trimEnd()}`);
  return new ConflictError([...lines, advice].join('\n'), { cause });
}

async function whoWrote({ provider }: EditableSource, revision: string, signal: AbortSignal) {
  let entries: readonly Revision[];
  try {
    entries = provider.annex ? await history(provider, signal) : [];
  } catch (error) {
    return `Who wrote it is not known: ${errorMessage(error)}`;
  }
  const entry = entries.find((each) => each.revision === revision);
  if (entry?.by === undefined) return undefined;
  const message = entry.message === undefined ? '' : `: "${plain(entry.message)}"`;
  return `It was written by ${plain(entry.by)} ${age(entry.at, Date.now())} ago${message}.`;
}

async function changesSince(source: EditableSource, before: Change['before'], now: ConfigDocument) {
  if (!before || now.missing) return undefined;
  try {
    return planText(planOf(before, await source.load(now)));
  } catch (error) {
    if (error instanceof ConfigError) return '  It is not valid now.';
    throw error;
  }
}

/** `ann@laptop` */
function writer(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user may have a number and no name.
    return String(process.getuid?.() ?? 'unknown');
  }
}
