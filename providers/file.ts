import { createHash } from 'node:crypto';
import { type FileHandle, link, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConfigDocument,
  type ConfigProvider,
  configProvider,
  definePlugin,
  errorCode,
  errorMessage,
  HectorError,
  Type,
} from '../core/index.ts';

const maxBytes = 4 * 1024 ** 2;
const pollMs = 2_000;
/** A write takes far less: one that is older was given up half-way. */
const abandonedMs = 30_000;

/** One local file. Its revision is a hash of its content. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/config-file',
  provides: [
    configProvider({
      name: 'file',
      description: 'A local YAML or JSON file',
      options: Type.Object(
        { path: Type.String({ minLength: 1, description: 'The file' }) },
        { additionalProperties: false },
      ),
      create: ({ path }, { folder }) => fileProvider(path, resolve(folder ?? '', path)),
    }),
  ],
});

function fileProvider(source: string, path: string): ConfigProvider {
  const folder = dirname(path);
  return {
    async *watch(signal): AsyncGenerator<ConfigDocument> {
      let revision: string | undefined;
      while (!signal.aborted) {
        const content = await read(path);
        // What it says and not when it was written: mounts and copies keep times, and editors save what did not change.
        if (content.revision !== revision) {
          revision = content.revision;
          yield { ...content, source, folder };
        }
        await sleep(pollMs, undefined, { signal }).catch(() => undefined);
      }
    },
    write: (text, expected, signal) => replace(path, text, expected, signal),
  };
}

async function read(path: string): Promise<{ text: string; revision: string }> {
  const bytes = await readBytes(path).catch((error: unknown) => {
    if (error instanceof HectorError) throw error;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'this user may not read it',
      ENOTDIR: 'a part of the path is not a folder',
      ELOOP: 'its links go round in a circle',
    };
    const reason = reasons[errorCode(error) ?? ''] ?? errorMessage(error);
    throw unreadable(path, reason, error);
  });
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), revision: hash(bytes) };
  } catch (error) {
    throw unreadable(path, 'it is not UTF-8 text', error);
  }
}

async function readBytes(path: string): Promise<Buffer> {
  // Before opening: to open a pipe would wait for its writer.
  const stats = await stat(path);
  if (!stats.isFile()) throw unreadable(path, stats.isDirectory() ? 'it is a folder' : 'it is not a regular file');
  const chunks: Buffer[] = [];
  let length = 0;
  const handle = await open(path, 'r');
  try {
    for await (const chunk of handle.createReadStream({ end: maxBytes, autoClose: false })) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
    }
  } finally {
    await handle.close();
  }
  if (length > maxBytes)
    throw unreadable(path, `it is larger than ${maxBytes / 1024 ** 2} MiB, the most that is taken`);
  return Buffer.concat(chunks);
}

/**
 * Compare-and-set. The new content is written beside the file and takes its place in one step, so a reader sees the old
 * or the new and never a part. The file written beside is also the lock that keeps two writers apart.
 */
async function replace(path: string, text: string, expected: string | undefined, signal: AbortSignal): Promise<string> {
  const bytes = Buffer.from(text);
  if (bytes.length > maxBytes) {
    throw new HectorError(
      'too_large',
      `A configuration of ${bytes.length} bytes is not written to ${path}: the most is ${maxBytes}.`,
    );
  }
  signal.throwIfAborted();
  const target = await realpath(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return path;
    throw error;
  });
  const next = join(dirname(target), `.${basename(target)}.next`);
  const handle = await lock(next, target);
  try {
    try {
      const current = await stat(target).catch(absent);
      const revision = current && (await read(target)).revision;
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
    if (expected === undefined) {
      await link(next, target).catch((error: unknown) => {
        throw errorCode(error) === 'EEXIST' ? conflict(path, 'it exists already') : error;
      });
    } else {
      await rename(next, target);
    }
  } finally {
    await unlink(next).catch(absent);
  }
  await syncFolder(dirname(target));
  return hash(bytes);
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

/** A rename survives a power cut once the folder is on disk. */
async function syncFolder(folder: string): Promise<void> {
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

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function unreadable(path: string, reason: string, cause?: unknown): HectorError {
  return new HectorError('config_unreadable', `The configuration file ${path} cannot be read: ${reason}.`, { cause });
}

function conflict(path: string, reason: string): HectorError {
  return new HectorError(
    'conflict',
    `${path} is not written: ${reason}. Read it again and apply the change to what it says now.`,
  );
}
