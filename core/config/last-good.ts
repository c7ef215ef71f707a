import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode, errorMessage, HectorError } from '../errors.ts';
import type { ConfigDocument } from '../extension/config-provider.ts';
import type { Logger } from '../logger.ts';

interface Kept {
  readonly format: 1;
  readonly saved_at: string;
  readonly source: string;
  readonly revision: string;
  readonly text: string;
  readonly entries?: readonly (readonly [string, string])[];
}

/**
 * The last document that served, kept on disk for a start without its source. It is kept as the source had it: what stands
 * for a secret there (`${VAR}`) stands for it here. Readable by its owner alone.
 */
export class LastGood {
  readonly path: string;
  readonly #logger: Logger;
  /** Of what is on disk. */
  #revision: string | undefined;
  #newest: ConfigDocument | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(path: string, logger: Logger) {
    this.path = path;
    this.#logger = logger;
  }

  /** `undefined` when there is none, or when it is of another source. Throws when what is there cannot be used. */
  async read(source: string): Promise<ConfigDocument | undefined> {
    let kept: unknown;
    try {
      kept = JSON.parse(await readFile(this.path, 'utf8'));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw unusable(this.path, errorMessage(error));
    }
    if (!isKept(kept)) throw unusable(this.path, 'it is not what Hector writes there');
    if (kept.source !== source) return undefined;
    const { text, revision, entries } = kept;
    return { text, source, revision, ...(entries && { entries: new Map(entries) }) };
  }

  /**
   * A document that serves now. That it cannot be kept is no reason not to serve it: it is logged, once. Of several that
   * come while one is written, the last is kept.
   */
  keep(document: ConfigDocument): Promise<void> {
    this.#newest = document;
    this.#keeping = this.#keeping.then(() => this.#keepNewest());
    return this.#keeping;
  }

  async #keepNewest(): Promise<void> {
    const document = this.#newest;
    this.#newest = undefined;
    if (!document || this.#revision === document.revision) return;
    try {
      await this.#write(document);
      this.#revision = document.revision;
      this.#failed = false;
    } catch (error) {
      const fields = { file: this.path, reason: errorMessage(error) };
      if (!this.#failed) this.#logger.warn(fields, 'the last good configuration is not kept');
      this.#failed = true;
    }
  }

  /** Whoever reads sees the one before or this one, never a part. */
  async #write({ text, entries, source, revision }: ConfigDocument): Promise<void> {
    const kept: Kept = {
      format: 1,
      saved_at: new Date().toISOString(),
      source,
      revision,
      text,
      ...(entries && { entries: [...entries] }),
    };
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const next = `${this.path}.${randomUUID()}`;
    try {
      const file = await open(next, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(kept)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(next, this.path);
    } catch (error) {
      await rm(next, { force: true });
      throw error;
    }
  }
}

function isKept(value: unknown): value is Kept {
  const { format, source, revision, text, entries = [] } = (value ?? {}) as Partial<Record<keyof Kept, unknown>>;
  const isPair = (pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && pair.every((each) => typeof each === 'string');
  return (
    format === 1 &&
    [source, revision, text].every((each) => typeof each === 'string') &&
    Array.isArray(entries) &&
    entries.every(isPair)
  );
}

function unusable(path: string, reason: string): HectorError {
  return new HectorError(
    'last_good',
    `The last good configuration in ${path} cannot be used: ${reason}. Remove the file; it is written anew with the next configuration that serves.`,
  );
}
