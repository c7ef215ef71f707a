import { mkdir, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { Part } from '../../../core/a2a.ts';
import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';

const maxSameName = 1_000;

/** Keeps the files of an answer in a folder. What is there already is never written over. */
export class SavedFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the part is now; `undefined` for one that brings no file along. */
  async save(part: Part): Promise<string | undefined> {
    if (!('raw' in part)) return undefined;
    const name = fileName(part.filename ?? '');
    try {
      await mkdir(this.#folder, { recursive: true });
      return await this.#write(name, Buffer.from(part.raw, 'base64'));
    } catch (error) {
      if (error instanceof HectorError) throw error;
      throw new HectorError('save', `${join(this.#folder, name)} cannot be written: ${errorMessage(error)}.`);
    }
  }

  async #write(name: string, content: Buffer): Promise<string> {
    const extension = extname(name);
    const stem = basename(name, extension);
    for (let count = 0; count < maxSameName; count++) {
      const path = join(this.#folder, count === 0 ? name : `${stem}-${count}${extension}`);
      try {
        await writeFile(path, content, { flag: 'wx' });
        return path;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }
    throw new HectorError(
      'save',
      `${join(this.#folder, name)} is there ${maxSameName} times. Choose another --save-files.`,
    );
  }
}

/** The agent says how the file is called, not where it goes. */
function fileName(wanted: string): string {
  const last = wanted.split(/[/\\]/).at(-1) ?? '';
  const name = last
    .replace(/\p{Cc}/gu, '')
    .replace(/^\.+/, '')
    .slice(-200);
  return name === '' ? 'file' : name;
}
