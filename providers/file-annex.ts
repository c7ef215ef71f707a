import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ConfigAnnex, errorCode, HectorError } from '../core/index.ts';
import { refusal, syncFolder } from './file-write.ts';

/** Kept in a folder of its own, which is made with the first text and is for the owner alone. */
export function fileAnnex(root: string): ConfigAnnex {
  const at = (path: string) => join(root, ...segments(path));
  return {
    list: async (folder, signal) => {
      signal.throwIfAborted();
      return await list(at(folder), '');
    },
    read: async (path, signal) => {
      const file = at(path);
      signal.throwIfAborted();
      return await readFile(file, 'utf8').catch(absent);
    },
    write: async (path, text, signal) => {
      const file = at(path);
      signal.throwIfAborted();
      await write(root, file, text).catch((error: unknown) => {
        throw refusal(file, error);
      });
    },
    remove: async (path, signal) => {
      const file = at(path);
      signal.throwIfAborted();
      await rm(file, { recursive: true, force: true }).catch((error: unknown) => {
        throw refusal(file, error);
      });
    },
  };
}

const isSegment = (name: string): boolean => /^[A-Za-z0-9._-]+$/.test(name) && !/^\.+$/.test(name);

function segments(path: string): readonly string[] {
  const names = path.split('/');
  if (names.every(isSegment)) return names;
  throw new HectorError(
    'invalid_path',
    `"${path}" is no place beside the configuration: paths have segments of letters, digits, ".", "_" and "-".`,
  );
}

async function list(folder: string, before: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? []) {
    // One that is not a segment is a text that is being written.
    if (!isSegment(entry.name)) continue;
    const path = `${before}${entry.name}`;
    if (entry.isDirectory()) found.push(...(await list(join(folder, entry.name), `${path}/`)));
    else found.push(path);
  }
  return found;
}

/** In one step: a reader sees the old text or the new. */
async function write(root: string, file: string, text: string): Promise<void> {
  // On its own: of a read-only file system `recursive` says that there is no such folder.
  await mkdir(root, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}~${randomUUID()}`;
  try {
    const handle = await open(next, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, file);
  } finally {
    await rm(next, { force: true });
  }
  await syncFolder(dirname(file));
}

/** Nor is there anything below a file, or a text where there is a folder. */
function absent(error: unknown): undefined {
  if (!['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errorCode(error) ?? '')) throw error;
}
