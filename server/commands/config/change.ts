import { contentHash } from '../../../core/config/content-hash.ts';
import { ConfigError } from '../../../core/config/issue.ts';
import { type ConfigPlan, planOf } from '../../../core/config/plan.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { HectorError } from '../../../core/errors.ts';
import type { ConfigContent, ConfigDocument } from '../../../core/extension/config-provider.ts';
import { tryOut } from '../../build.ts';
import type { EditableSource } from './editable-source.ts';

/** From what the source has to what it is to have. */
export interface Change {
  readonly current: ConfigDocument;
  readonly content: ConfigContent;
  readonly content_hash: string;
  /** The texts are equal, letter by letter. */
  readonly same: boolean;
  /** `undefined` where there is none, or none that is valid. */
  readonly before: Snapshot | undefined;
  /** `undefined` only where it is not valid and is to be written all the same. */
  readonly after: Snapshot | undefined;
  readonly plan: ConfigPlan | undefined;
  /** For people: what is not as it should be and keeps nothing from happening. */
  readonly notes: readonly string[];
}

export interface Proposal {
  /** Throws where a file cannot be divided into entries. */
  content(): ConfigContent;
  /** What errors call it: the file. */
  readonly name: string;
  /** Before it is divided into entries: errors are told with its lines. */
  readonly whole?: string | undefined;
  /** Also if it is not valid. */
  readonly force?: boolean | undefined;
}

/** Checks what is proposed the way that `serve` would take it, and says what it changes. Throws what is wrong with it. */
export async function changeOf(source: EditableSource, current: ConfigDocument, proposal: Proposal): Promise<Change> {
  const { name, whole, force = false } = proposal;
  const notes: string[] = [];
  const before = current.missing ? undefined : await loadCurrent(source, current, notes);
  const valid = async (content: ConfigContent): Promise<Snapshot | undefined> => {
    const { folder } = current;
    const place = { source: name, revision: contentHash(content), ...(folder !== undefined && { folder }) };
    try {
      const snapshot = await source.load({ ...content, ...place });
      notes.push(...(await notesOfBuilding(snapshot)));
      return snapshot;
    } catch (error) {
      if (!force || !(error instanceof HectorError)) throw error;
      notes.push(`It is not valid, and no replica will serve it:\n${error.message}`);
      return undefined;
    }
  };
  // Before it is divided: what is wrong is told with the lines of the file.
  const written = whole === undefined ? undefined : await valid({ text: whole });
  const content = proposal.content();
  const told = notes.length;
  const after = whole === undefined || written ? await valid(content) : undefined;
  // Of the same configuration divided, all of it has been said.
  if (written) notes.length = told;
  if (written && after && written.hash !== after.hash) throw dividedWrongly(name);
  if (!force) refuseEmpty(name, content);
  const content_hash = contentHash(content);
  return {
    current,
    content,
    content_hash,
    same: !current.missing && contentHash(current) === content_hash,
    before,
    after,
    plan: after && planOf(before, after),
    notes,
  };
}

/**
 * What is wrong in itself is refused: a tool that no server offers. What could not be built may be missing here and not where
 * it is to run: a file, a server that a tool needs.
 */
async function notesOfBuilding(snapshot: Snapshot): Promise<string[]> {
  try {
    await tryOut(snapshot);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError) || error.issues.some(({ rule }) => rule !== 'build')) throw error;
    return [`It could not be built here, and replicas refuse it where they cannot either:\n${error.message}`];
  }
}

function dividedWrongly(name: string): HectorError {
  return new HectorError(
    'not_divisible',
    `${name} does not say the same once it is divided into entries. Push a folder with a file for each entry instead.`,
  );
}

async function loadCurrent(source: EditableSource, current: ConfigDocument, notes: string[]) {
  try {
    return await source.load(current);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    notes.push(`What ${source.source} has now is not valid, so everything counts as new:\n${error.message}`);
    return undefined;
  }
}

/** Replicas do not take it unless they are told to: it is more likely a mistake. */
function refuseEmpty(name: string, { text, entries }: ConfigContent): void {
  const isEmpty = entries ? entries.size === 0 : text.trim() === '';
  if (!isEmpty) return;
  throw new HectorError(
    'empty',
    `${name} is empty. Replicas refuse an empty configuration unless config.allow_empty is set; to write it all the same, add --force.`,
  );
}
