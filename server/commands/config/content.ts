import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage, HectorError } from '../../../core/errors.ts';
import { UsageError } from '../usage-error.ts';
import type { Proposal } from './change.ts';
import { splitDocument } from './split.ts';

const maxBytes = 64 * 1024 ** 2;

/** What is to be pushed. */
export interface LocalContent extends Proposal {
  /** Files of the folder that are no part of a configuration. */
  readonly ignored: readonly string[];
}

/** A file, or a folder with a file for each entry, in the form that the source takes. */
export async function readLocal(path: string, takesEntries: boolean): Promise<LocalContent> {
  const stats = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (stats.isDirectory()) {
    if (takesEntries) return readFolder(path);
    throw new UsageError(
      `${path} is a folder, and the configuration is one document: name a file, or use a key that ends in "/".`,
    );
  }
  const text = await readText(path);
  if (!takesEntries) return { name: path, content: () => ({ text }), ignored: [] };
  return { name: path, content: () => ({ text: '', entries: splitDocument(text) }), whole: text, ignored: [] };
}

/** `agents/writer.yaml` is the entry `agents/writer`. Names that begin with a dot are an editor's, or a tool's. */
async function readFolder(path: string): Promise<LocalContent> {
  const entries = new Map<string, string>();
  const from = new Map<string, string>();
  const ignored: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    const found = await readdir(join(path, folder), { withFileTypes: true });
    for (const { name } of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (name.startsWith('.')) continue;
      const below = folder === '' ? name : `${folder}/${name}`;
      // What a link leads to.
      if ((await stat(join(path, below))).isDirectory()) {
        await visit(below);
        continue;
      }
      const entry = /^(.+)\.(?:yaml|yml|json)$/.exec(below)?.[1];
      if (entry === undefined) {
        ignored.push(below);
        continue;
      }
      const other = from.get(entry);
      if (other !== undefined)
        throw new UsageError(`${join(path, other)} and ${join(path, below)} are the same entry: keep one of them.`);
      from.set(entry, below);
      entries.set(entry, await readText(join(path, below)));
    }
  };
  await visit('');
  return { name: path, content: () => ({ text: '', entries }), ignored };
}

async function readText(path: string): Promise<string> {
  const bytes = await stat(path)
    .then(({ size }) => {
      if (size > maxBytes) throw new HectorError('too_large', `it is larger than ${maxBytes / 1024 ** 2} MiB`);
      return readFile(path);
    })
    .catch((error: unknown) => {
      throw unreadable(path, error);
    });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HectorError('config_unreadable', `${path} cannot be read: it is not UTF-8 text.`);
  }
}

function unreadable(path: string, error: unknown): HectorError {
  const reason = errorCode(error) === 'ENOENT' ? 'there is no such file or folder' : errorMessage(error);
  return new HectorError('config_unreadable', `${path} cannot be read: ${reason}.`, { cause: error });
}
