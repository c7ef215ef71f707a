import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../core/index.ts';
import { Alarms } from './file-alarms.ts';
import { Trails } from './file-trail.ts';

export interface FileWatch extends AsyncDisposable {
  /**
   * From now on these files, whether they are there or not. A map says what the caller knows of each: the sha256 of its
   * content (hexadecimal), '' where there is none to be read; a file that is otherwise has changed. Of paths alone, what
   * counts as the content so far is what is found a moment later, or was already.
   */
  set(files: Iterable<string> | ReadonlyMap<string, string>): void;
}

export interface FileWatchOptions {
  /** How often files are looked at, whether the system says that they have changed or not. */
  readonly pollMs?: number;
  /** false: by looking alone. */
  readonly notices?: boolean;
  /** The system does not say when files change; they are looked at all the same. Called once, until it does again. */
  onBlind?(reason: unknown): void;
}

interface File {
  readonly path: string;
  /** Hash of the content that the caller knows of; `undefined` before there is any. */
  known: string | undefined;
  /** Counts what the caller has said. */
  told: number;
  /** What `stat` said, and the hash, when it was last read. */
  signature: string | undefined;
  hash: string;
  readAt: number;
  /** A file of another content would have another signature. */
  settled: boolean;
  /** A large file is not read all the time. */
  restUntil: number;
  blind: boolean;
}

const defaultPollMs = 2_000;
/** Where there are no more, each is read whenever it is looked at. */
const fewFiles = 16;
/** Otherwise, while `stat` says nothing new, after so long. */
const rereadMs = 30_000;
/** So many are looked at in one go, more if otherwise the last would wait for longer than `rereadMs`. */
const sliceOfFiles = 200;
/** Between two rounds, so that a file that is written all the time is not read all the time. */
const gapMs = 25;
const atOnce = 8;
/** In which a file system's clock may stand still. */
const clockMs = 2_500;
const largeBytes = 4 * 1024 ** 2;
const pieceBytes = 64 * 1024;
const maxPlacings = 5;

/**
 * Calls `onChange` whenever the content of one of these files has changed, or it has come to be or gone: by the system's
 * notices, within milliseconds, from every folder and link on the way to it; and by looking at it from time to time, for
 * there are file systems, containers and limits under which no notice comes.
 */
export function watchFiles(
  files: Iterable<string> | ReadonlyMap<string, string>,
  onChange: () => void,
  options: FileWatchOptions = {},
): FileWatch {
  const watch = new Watch(onChange, options);
  watch.set(files);
  return watch;
}

class Watch implements FileWatch {
  readonly #files = new Map<string, File>();
  /** What is to be looked at next; true: a notice has come of it, or it is new. */
  readonly #due = new Map<File, boolean>();
  readonly #alarms: Alarms<File> | undefined;
  readonly #onChange: () => void;
  readonly #onBlind: ((reason: unknown) => void) | undefined;
  readonly #closing = new AbortController();
  readonly #poll: NodeJS.Timeout;
  readonly #pollMs: number;
  #rotation: Iterator<File> | undefined;
  #running: Promise<void> | undefined;
  #blind = false;

  constructor(onChange: () => void, { pollMs = defaultPollMs, notices = true, onBlind }: FileWatchOptions) {
    this.#onChange = onChange;
    this.#onBlind = onBlind;
    this.#pollMs = pollMs;
    if (notices) this.#alarms = new Alarms((file) => this.#look(file, true));
    this.#poll = setInterval(() => this.#lookAround(), pollMs);
  }

  set(files: Iterable<string> | ReadonlyMap<string, string>): void {
    const known = files instanceof Map ? (files as ReadonlyMap<string, string>) : undefined;
    const wanted = new Map<string, string | undefined>();
    for (const path of known?.keys() ?? (files as Iterable<string>)) wanted.set(resolve(path), known?.get(path));
    for (const [path, file] of this.#files) {
      if (wanted.has(path)) continue;
      this.#files.delete(path);
      this.#due.delete(file);
      this.#alarms?.remove(file);
    }
    for (const [path, hash] of wanted) {
      const file = this.#files.get(path) ?? this.#add(path);
      if (hash === undefined || hash === file.known) continue;
      file.known = hash;
      file.told++;
      this.#look(file, true);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    clearInterval(this.#poll);
    this.#alarms?.close();
    await this.#running;
    this.#files.clear();
  }

  #add(path: string): File {
    const file: File = {
      path,
      known: undefined,
      told: 0,
      signature: undefined,
      hash: '',
      readAt: 0,
      settled: false,
      restUntil: 0,
      blind: false,
    };
    this.#files.set(path, file);
    this.#look(file, true);
    return file;
  }

  #look(file: File, noticed: boolean): void {
    if (this.#closing.signal.aborted) return;
    this.#due.set(file, noticed || this.#due.get(file) === true);
    this.#running ??= this.#run();
  }

  #lookAround(): void {
    const count = this.#files.size;
    const slice = Math.min(count, Math.max(sliceOfFiles, Math.ceil((count * this.#pollMs) / rereadMs)));
    for (let looked = 0; looked < slice; looked++) {
      this.#rotation ??= this.#files.values();
      const next = this.#rotation.next();
      if (next.done) this.#rotation = undefined;
      else this.#look(next.value, false);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    // What else is set in the same breath belongs to the same round.
    await Promise.resolve();
    while (this.#due.size > 0 && !signal.aborted) {
      const round = [...this.#due];
      this.#due.clear();
      await this.#place(round.filter(([file, noticed]) => noticed || file.blind).map(([file]) => file));
      let changed = false;
      await forEach(round, async ([file, noticed]) => {
        if (await this.#hasChanged(file, noticed)) changed = true;
      });
      if (changed && !signal.aborted) this.#onChange();
      await sleep(gapMs, undefined, { signal }).catch(() => undefined);
    }
    this.#running = undefined;
  }

  /** Until nothing on the way to any of them is new: from then on no change goes unnoticed. */
  async #place(files: readonly File[]): Promise<void> {
    const alarms = this.#alarms;
    if (!alarms || files.length === 0) return;
    let failure: unknown;
    let opened = true;
    for (let placings = 0; opened && placings < maxPlacings; placings++) {
      opened = false;
      failure = undefined;
      const trails = new Trails();
      await forEach(files, async (file) => {
        const places = await trails.to(file.path);
        if (!this.#has(file)) return;
        const placing = alarms.place(file, places);
        opened ||= placing.opened;
        file.blind = placing.failure !== undefined;
        failure ??= placing.failure;
      });
    }
    // What has just gone will be looked for again; that is nothing to tell.
    if (failure !== undefined && errorCode(failure) !== 'ENOENT' && !this.#blind) {
      this.#blind = true;
      this.#onBlind?.(failure);
    } else if (this.#blind) {
      this.#blind = [...this.#files.values()].some(({ blind }) => blind);
    }
  }

  async #hasChanged(file: File, noticed: boolean): Promise<boolean> {
    const { told } = file;
    if (!(await this.#read(file, noticed)) || !this.#has(file)) return false;
    if (file.told !== told) {
      // The caller knows of something newer than what was just read, or older: it is for the next round to say.
      this.#look(file, noticed);
      return false;
    }
    const before = file.known;
    file.known = file.hash;
    return before !== undefined && before !== file.hash;
  }

  /** Whether its hash is now that of its content. */
  async #read(file: File, noticed: boolean): Promise<boolean> {
    const now = Date.now();
    if (now < file.restUntil) return false;
    const { signature, changedAt, size } = await signatureOf(file.path);
    const same = signature === file.signature;
    const fresh = same && file.settled && now - file.readAt < rereadMs;
    if (fresh && !noticed && this.#files.size > fewFiles) return true;
    const hash = await hashOfFile(file.path);
    const unnoticed = file.signature !== undefined && !noticed && (!same || hash !== file.hash);
    Object.assign(file, { signature, hash, readAt: now, settled: now - changedAt > clockMs });
    if (size > largeBytes) file.restUntil = Date.now() + 10 * (Date.now() - now);
    if (unnoticed && this.#has(file)) {
      // The way to it may have become another, and whoever should have said so is deaf.
      this.#alarms?.distrust(file);
      this.#look(file, true);
    }
    return true;
  }

  #has(file: File): boolean {
    return !this.#closing.signal.aborted && this.#files.get(file.path) === file;
  }
}

interface Signature {
  /** The same, as a rule, while the file is the same; '' where there is none. */
  readonly signature: string;
  readonly changedAt: number;
  readonly size: number;
}

async function signatureOf(path: string): Promise<Signature> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    const changedAt = Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n);
    return { signature: `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`, changedAt, size: Number(size) };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return { signature: '', changedAt: 0, size: 0 };
  }
}

/** What cannot be read has no content. */
async function hashOfFile(path: string): Promise<string> {
  try {
    // Before it is opened, for to open a device may do something; and opened so that a pipe does not wait for its writer.
    if (!(await stat(path)).isFile()) return '';
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(pieceBytes);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, pieceBytes);
        if (bytesRead === 0) return hash.digest('hex');
        hash.update(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return '';
  }
}

async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const iterator = items.values();
  const work = async () => {
    for (const item of iterator) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
}
