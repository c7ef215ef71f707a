import { type FileHandle, link, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ConfigContent, errorCode, errorMessage, HectorError } from '../core/index.ts';
import { hashOf, maxBytes, readContent } from './file-content.ts';

/** A write takes far less: one that is older was given up half-way. */
const abandonedMs = 30_000;

/**
 * Compare-and-set. The new content is written beside the file and takes its place in one step, so a reader sees the old
 * or the new and never a part. The file written beside is also the lock that keeps two writers apart.
 *
 * A file that is mounted cannot be replaced: it is emptied and written in place, and a reader may see a part.
 */
export async function writeContent(
  path: string,
  { text, entries }: ConfigContent,
  expected: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (entries)
    throw new HectorError(
      'invalid',
      `${path} is not written: a file holds one document, not entries of their own. Put the entries into one document.`,
    );
  const bytes = Buffer.from(text);
  if (bytes.length > maxBytes)
    throw new HectorError(
      'too_large',
      `A configuration of ${bytes.length} bytes is not written to ${path}: the most is ${maxBytes}.`,
    );
  signal.throwIfAborted();
  try {
    await replace(path, bytes, expected, signal);
  } catch (error) {
    throw refusal(path, error);
  }
  return hashOf(bytes);
}

async function replace(path: string, bytes: Buffer, expected: string | undefined, signal: AbortSignal): Promise<void> {
  const target = await realpath(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return path;
    throw error;
  });
  const next = join(dirname(target), `.${basename(target)}.next`);
  const handle = await lock(next, target);
  try {
    try {
      const current = await stat(target).catch(absent);
      const revision = current && (await readContent(target)).revision;
      if (revision !== expected) throw conflict(path, current ? 'it has changed meanwhile' : 'it is not there');
      if (current) {
        await handle.chmod(current.mode & 0o7777);
        await keepOwner(handle, current);
      }
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal.throwIfAborted();
    if (expected === undefined) await create(next, target, path);
    else await putInPlace(next, target, bytes);
  } finally {
    await unlink(next).catch(absent);
  }
  await syncFolder(dirname(target));
}

/** Creates the file that is to take the target's place; what holds secrets is for its owner alone until it has a mode. */
async function lock(next: string, target: string): Promise<FileHandle> {
  const create = () => open(next, 'wx', 0o600);
  try {
    return await create();
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    const other = await stat(next).catch(absent);
    if (other && Date.now() - other.mtimeMs < abandonedMs)
      throw conflict(target, 'somebody else is writing it right now');
    await unlink(next).catch(absent);
    return await create();
  }
}

async function keepOwner(handle: FileHandle, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
}

async function create(next: string, target: string, path: string): Promise<void> {
  try {
    await link(next, target);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw conflict(path, 'it exists already');
    throw error;
  }
}

async function putInPlace(next: string, target: string, bytes: Buffer): Promise<void> {
  try {
    await rename(next, target);
  } catch (error) {
    // Something is mounted there.
    if (errorCode(error) !== 'EBUSY') throw error;
    const handle = await open(target, 'r+');
    try {
      // Empty first: what is empty is taken for no configuration, the new before the end of the old might be taken for one.
      await handle.truncate();
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** A rename survives a power cut once the folder is on disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}

const refusals: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write in its folder',
  EPERM: 'this user may not write it, or not leave it its owner',
  EROFS: 'it is on a read-only file system. A mounted ConfigMap is changed where it comes from, with kubectl',
};

/** What the system says, as a sentence; an error of our own as it is. */
export function refusal(path: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === undefined || error instanceof HectorError || (error as Error).name === 'AbortError') return error;
  const forbidden = refusals[code];
  if (forbidden !== undefined)
    return new HectorError('forbidden', `${path} is not written: ${forbidden}.`, { cause: error });
  const reason = code === 'ENOENT' ? 'its folder is not there' : errorMessage(error);
  return new HectorError('config_unwritable', `${path} is not written: ${reason}.`, { cause: error });
}

function conflict(path: string, reason: string): HectorError {
  return new HectorError(
    'conflict',
    `${path} is not written: ${reason}. Read it again and apply the change to what it says now.`,
  );
}
