import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import MiniSearch from 'minisearch';
import type { SearchHit } from '../../core/index.ts';
import { type FolderFilter, FolderScan, type FoundFile, type Problem } from './folder.ts';
import { type Cut, passages } from './passages.ts';
import { isCommonWord, words } from './words.ts';

interface Passage {
  readonly id: number;
  readonly document: string;
  readonly text: string;
}

interface Document {
  readonly version: string;
  readonly passages: readonly Passage[];
  readonly length: number;
}

interface DirectoryIndexOptions {
  readonly root: string;
  readonly filter: FolderFilter;
  readonly cut: Cut;
  readonly maxText?: number;
}

export interface Update {
  /** Whether a search may now find something else. */
  readonly changed: boolean;
  /** What is wrong, in sentences; empty when it is the same as the last time. */
  readonly problems: readonly string[];
}

/** Characters of text that one index holds. In memory it takes about six times as much. */
const maxText = 64 * 1024 ** 2;
const maxDocuments = 100_000;
const maxQueryWords = 64;

/** The passages of a folder's files, ready to be searched. Answers while it is brought up to date. */
export class DirectoryIndex {
  readonly #options: DirectoryIndexOptions;
  readonly #search = new MiniSearch<Passage>({
    fields: ['text', 'document'],
    tokenize: words,
    processTerm: term,
    autoVacuum: false,
  });
  readonly #passages = new Map<number, Passage>();
  readonly #documents = new Map<string, Document>();
  #length = 0;
  #nextId = 0;
  #reported = '';

  constructor(options: DirectoryIndexOptions) {
    this.#options = options;
  }

  get documents(): number {
    return this.#documents.size;
  }

  get passages(): number {
    return this.#passages.size;
  }

  /** Reads what is new or has changed and forgets what is gone. One at a time. */
  async update(signal: AbortSignal): Promise<Update> {
    const { root, filter } = this.#options;
    const scan = new FolderScan(root, filter);
    const thread = new Thread();
    const seen = new Set<string>();
    const leftOut: Problem[] = [];
    let changed = false;

    for await (const file of scan.files()) {
      signal.throwIfAborted();
      const known = this.#documents.get(file.path);
      if (known) seen.add(file.path);
      if (known?.version === file.version) continue;
      if (!this.#hasRoom(file, known)) {
        leftOut.push({ path: file.path, reason: 'the index is full' });
        if (known) changed = await this.#forget(file.path, thread);
        continue;
      }
      try {
        const text = await readText(file);
        await this.#put(file, text, thread);
        seen.add(file.path);
        changed = true;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        seen.delete(file.path);
        if (code !== 'ENOENT') scan.unreadable.push({ path: file.path, reason: code ?? message });
      }
    }
    for (const path of [...this.#documents.keys()]) {
      if (!seen.has(path)) changed = await this.#forget(path, thread);
    }
    return { changed, problems: this.#news(scan, leftOut) };
  }

  search(query: string, limit: number): SearchHit[] {
    const found = words(query.slice(0, 2_000));
    const telling = found.filter((word) => !isCommonWord(word));
    const asked = (telling.length > 0 ? telling : found).slice(0, maxQueryWords);
    const options = { tokenize: () => asked, boost: { document: 0.5 }, prefix: (word: string) => word.length > 3 };
    const exact = this.#search.search(query, options);
    // Misspellings are worth their cost only where nothing is spelled like that.
    const results =
      exact.length > 0
        ? exact
        : this.#search.search(query, { ...options, fuzzy: (word) => (word.length > 4 ? 0.2 : false) });
    return results.slice(0, limit).flatMap(({ id, score }) => {
      const passage = this.#passages.get(id as number);
      return passage ? [{ document: passage.document, text: passage.text, score }] : [];
    });
  }

  clear(): void {
    this.#search.removeAll();
    this.#passages.clear();
    this.#documents.clear();
    this.#length = 0;
  }

  #hasRoom(file: FoundFile, replaced: Document | undefined): boolean {
    const room = (this.#options.maxText ?? maxText) - this.#length + (replaced?.length ?? 0);
    return file.size <= room && (replaced !== undefined || this.#documents.size < maxDocuments);
  }

  /** The new passages come before the old ones go, so that a search meanwhile misses nothing. */
  async #put({ path, version }: FoundFile, text: string | undefined, thread: Thread): Promise<void> {
    const added: Passage[] = [];
    let length = 0;
    for (const passage of text === undefined ? [] : passages(text, this.#options.cut)) {
      const entry = { id: this.#nextId++, document: path, text: passage };
      this.#search.add(entry);
      this.#passages.set(entry.id, entry);
      added.push(entry);
      length += passage.length;
      await thread.rest();
    }
    if (this.#documents.has(path)) await this.#forget(path, thread);
    this.#documents.set(path, { version, passages: added, length });
    this.#length += length;
  }

  async #forget(path: string, thread: Thread): Promise<true> {
    const document = this.#documents.get(path);
    this.#documents.delete(path);
    this.#length -= document?.length ?? 0;
    for (const passage of document?.passages ?? []) {
      this.#search.remove(passage);
      this.#passages.delete(passage.id);
      await thread.rest();
    }
    return true;
  }

  #news({ unreadable, tooLarge }: FolderScan, leftOut: readonly Problem[]): readonly string[] {
    const sentences = [
      summary(unreadable, 'could not be read'),
      summary(tooLarge, 'is larger than max_file_size', 'are larger than max_file_size'),
      summary(
        leftOut,
        `is left out: an index holds ${maxText / 1024 ** 2} Mi characters of at most ${maxDocuments} documents`,
      ),
    ].filter((sentence) => sentence !== undefined);
    const report = sentences.join('\n');
    if (report === this.#reported) return [];
    this.#reported = report;
    return sentences;
  }
}

function summary(problems: readonly Problem[], one: string, many = one.replace(/^is /, 'are ')): string | undefined {
  if (problems.length === 0) return undefined;
  const shown = problems.slice(0, 5).map(({ path, reason }) => `${path} (${reason})`);
  const more = problems.length > shown.length ? ` and ${problems.length - shown.length} more` : '';
  const what = problems.length === 1 ? `a file ${one}` : `${problems.length} files ${many}`;
  return `${what} and cannot be found by a search: ${shown.join(', ')}${more}.`;
}

/** The text of a file; `undefined` where it is binary. */
async function readText({ real, size }: FoundFile): Promise<string | undefined> {
  const file = await open(real, 'r');
  try {
    // No more than what was measured and has room: the rest of a file that grows comes with its next version.
    const buffer = Buffer.alloc(size);
    let length = 0;
    while (length < size) {
      const { bytesRead } = await file.read(buffer, length, size - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    const bytes = buffer.subarray(0, length);
    return bytes.includes(0) ? undefined : new TextDecoder().decode(bytes);
  } finally {
    await file.close();
  }
}

function term(word: string): string | null {
  const lower = word.toLowerCase();
  return lower.length > 0 && lower.length <= 64 ? lower : null;
}

/** Lets others have the thread when it has been held for long enough. */
class Thread {
  #since = performance.now();

  async rest(): Promise<void> {
    if (performance.now() - this.#since < 8) return;
    await setImmediate();
    this.#since = performance.now();
  }
}
