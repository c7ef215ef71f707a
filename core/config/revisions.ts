import { errorCode, errorMessage, HectorError } from '../errors.ts';
import type { ConfigAnnex, ConfigContent, ConfigDocument, ConfigProvider } from '../extension/config-provider.ts';
import { contentHash } from './content-hash.ts';
import { about, contentOf, idOf, parseAbout, piecesOf, type Revision, timeOf } from './revision-entry.ts';

export type { Revision } from './revision-entry.ts';

export interface WriteOptions {
  readonly provider: ConfigProvider;
  readonly content: ConfigContent;
  /** Compare-and-set on it; `undefined`: create only. */
  readonly expected: string | undefined;
  /** What the change was made from. */
  readonly current: ConfigDocument;
  /** How many earlier revisions stay in the history; 0: there is none. */
  readonly keep: number;
  /** `ann@laptop` */
  readonly by: string;
  readonly at: Date;
  readonly message?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Written {
  readonly revision: string;
  readonly content_hash: string;
  /** Why the history lacks it, where it does. The write itself stands. */
  readonly warning?: string;
}

const folder = 'history';
/** An entry that is being written gets its last text far sooner. */
const abandonedMs = 10 * 60_000;

/**
 * Writes the configuration and its history: what is there now first, if the history lacks it, for it may have come by
 * other means; then the content, compare-and-set; then what the history says of that. Whoever dies in between has lost
 * nothing: the next write finds what is there and puts it into the history.
 */
export async function writeRevision(options: WriteOptions): Promise<Written> {
  const { provider, content, expected, current, keep, by, at, message, signal } = options;
  if (!provider.write)
    throw new HectorError('read_only', `${current.source} is not written: its provider can only read.`);
  const annex = keep > 0 ? provider.annex : undefined;
  const before = annex ? await list(annex, signal) : [];
  let last = before.at(-1);
  let found: Revision | undefined;
  if (annex && !current.missing && last?.revision !== current.revision) {
    const told = { revision: current.revision, at: at.toISOString() };
    found = await record(annex, { content: current, about: told, after: last, at }, signal);
    last = found;
  }
  const revision = await provider.write(content, expected, signal).catch(async (error: unknown) => {
    if (annex && found && errorCode(error) === 'conflict') await withdraw(annex, found, signal);
    throw error;
  });
  const written = { revision, content_hash: contentHash(content) };
  if (!annex || last?.revision === revision) return written;
  try {
    const told = { revision, at: at.toISOString(), by, ...(message !== undefined && { message }) };
    await record(annex, { content, about: told, after: last, at }, signal);
    await prune(annex, keep, at, signal);
    return written;
  } catch (error) {
    return { ...written, warning: `The history is not up to date: ${errorMessage(error)}` };
  }
}

/** Newest first. Half-written entries are not there. */
export async function history(provider: ConfigProvider, signal: AbortSignal): Promise<readonly Revision[]> {
  const entries = await list(annexOf(provider), signal);
  return distinct(entries).reverse();
}

/**
 * One of the history, by the beginning of its revision or content hash, or by how many revisions before the current one
 * it was: `-1`.
 */
export function findRevision(entries: readonly Revision[], id: string, current: string | undefined): Revision {
  if (entries.length === 0)
    throw new HectorError('no_history', 'There are no earlier revisions: the history is empty.');
  const listed = [...new Set(entries.map(({ revision }) => revision.slice(0, 20)))].join(', ');
  if (/^-[0-9]{1,4}$/.test(id)) {
    // What came by other means and was never pushed over is newer than all of the history.
    const start = entries[0]?.revision === current ? 0 : -1;
    const found = entries[start + Number(id.slice(1))];
    if (found && id !== '-0') return found;
    throw new HectorError('unknown_revision', `There is no revision ${id}: the history has ${listed}.`);
  }
  const exact = entries.find((entry) => entry.revision === id || entry.content_hash === id);
  if (exact) return exact;
  const matching = entries.filter((entry) => entry.revision.startsWith(id) || entry.content_hash.startsWith(id));
  const [found] = id === '' ? [] : matching;
  if (!found) throw new HectorError('unknown_revision', `No revision begins with "${id}": the history has ${listed}.`);
  if (matching.some((entry) => entry.content_hash !== found.content_hash)) {
    const names = matching.map(({ revision, content_hash }) => `${revision} (${content_hash.slice(0, 12)})`).join(', ');
    throw new HectorError('unknown_revision', `"${id}" may be any of ${names}: write more of it.`);
  }
  return found;
}

/** What was written then. */
export async function revisionContent(
  provider: ConfigProvider,
  { id, kind, pieces, content_hash, revision }: Revision,
  signal: AbortSignal,
): Promise<ConfigContent> {
  const annex = annexOf(provider);
  const texts: string[] = [];
  for (let index = 0; index < pieces; index++) {
    const text = await annex.read(`${folder}/${id}/${pieceName(kind, index)}`, signal);
    if (text !== undefined) texts.push(text);
  }
  const content = texts.length === pieces ? contentOf(kind, texts) : undefined;
  if (!content || contentHash(content) !== content_hash)
    throw new HectorError('history_damaged', `The history has only a part of revision ${revision}, or another text.`);
  return content;
}

function annexOf({ annex }: ConfigProvider): ConfigAnnex {
  if (annex) return annex;
  throw new HectorError('no_history', 'This config provider keeps no history of earlier revisions.');
}

/** Complete entries, oldest first. */
async function list(annex: ConfigAnnex, signal: AbortSignal): Promise<Revision[]> {
  const entries: Revision[] = [];
  for (const path of [...(await annex.list(folder, signal))].sort()) {
    const id = /^([^/]+)\/about$/.exec(path)?.[1];
    const text = id === undefined ? undefined : await annex.read(`${folder}/${path}`, signal);
    const entry = id === undefined || text === undefined ? undefined : parseAbout(id, text);
    if (entry) entries.push(entry);
  }
  return entries;
}

/** Two that found the same unknown revision at once have both put it there: the one that knows who wrote it counts. */
function distinct(entries: readonly Revision[]): Revision[] {
  const kept: Revision[] = [];
  for (const entry of entries) {
    const last = kept.at(-1);
    if (last?.revision !== entry.revision) kept.push(entry);
    else if (last.by === undefined) kept[kept.length - 1] = entry;
  }
  return kept;
}

/** Who was faster has put it into the history as well, and before his own: twice, it would take the place of another. */
async function withdraw(annex: ConfigAnnex, found: Revision, signal: AbortSignal): Promise<void> {
  const entries = await list(annex, signal);
  const again = entries.some(
    ({ id, revision, content_hash }) =>
      id !== found.id && revision === found.revision && content_hash === found.content_hash,
  );
  if (!again) return;
  await annex.remove(`${folder}/${found.id}/about`, signal);
  await annex.remove(`${folder}/${found.id}`, signal);
}

interface Recorded {
  readonly content: ConfigContent;
  readonly about: { readonly revision: string; readonly at: string; readonly by?: string; readonly message?: string };
  /** The newest so far: the new one sorts after it, whatever the clocks of two machines say. */
  readonly after: Revision | undefined;
  readonly at: Date;
}

async function record(annex: ConfigAnnex, { content, about: told, after, at }: Recorded, signal: AbortSignal) {
  const hash = contentHash(content);
  const time = Math.max(at.getTime(), after ? timeOf(after.id) + 1 : 0);
  const id = idOf(new Date(time), told.revision, hash);
  const { kind, texts } = piecesOf(content);
  for (const [index, text] of texts.entries())
    await annex.write(`${folder}/${id}/${pieceName(kind, index)}`, text, signal);
  // Last: an entry without it is not there.
  const entry = about(id, content, { ...told, content_hash: hash, kind, pieces: texts.length });
  await annex.write(`${folder}/${id}/about`, entry.text, signal);
  return entry.revision;
}

const pieceName = (kind: string, index: number) => `${kind}/${String(index).padStart(4, '0')}`;

/** The current one and as many before it as are kept; and what was left half-written. */
async function prune(annex: ConfigAnnex, keep: number, now: Date, signal: AbortSignal): Promise<void> {
  const complete = await list(annex, signal);
  const kept = new Set(
    distinct(complete)
      .slice(-(keep + 1))
      .map(({ id }) => id),
  );
  const known = new Set(complete.map(({ id }) => id));
  const all = new Set((await annex.list(folder, signal)).map((path) => path.split('/', 1)[0] as string));
  for (const id of all) {
    if (kept.has(id)) continue;
    const abandoned = !known.has(id) && now.getTime() - timeOf(id) > abandonedMs;
    if (!known.has(id) && !abandoned) continue;
    // First what makes it an entry, so that nobody reads one whose text is going.
    if (known.has(id)) await annex.remove(`${folder}/${id}/about`, signal);
    await annex.remove(`${folder}/${id}`, signal);
  }
}
