import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { errorCode, errorMessage, HectorError } from '../core/index.ts';

/** What is read of one file, and written to it. */
export const maxBytes = 4 * 1024 ** 2;

/** The revision of a file that is not there. */
export const absentRevision = 'absent';

export interface FileContent {
  readonly text: string;
  /** sha256 of the bytes, hexadecimal. */
  readonly revision: string;
  readonly missing?: boolean;
}

/** Throws `config_unreadable` when there is something and it cannot be read; nothing at all is `missing`. */
export async function readContent(path: string): Promise<FileContent> {
  try {
    const bytes = await readBytes(path);
    return { text: decode(path, bytes), revision: hashOf(bytes) };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { text: '', revision: absentRevision, missing: true };
    if (error instanceof HectorError) throw error;
    const reasons: Readonly<Record<string, string>> = {
      EACCES: 'this user may not read it',
      ENOTDIR: 'a part of the path is not a folder',
      ELOOP: 'its links go round in a circle',
    };
    throw unreadable(path, reasons[errorCode(error) ?? ''] ?? errorMessage(error), error);
  }
}

async function readBytes(path: string): Promise<Buffer> {
  // Before it is opened, for to open a device may do something; and opened so that a pipe does not wait for its writer.
  checkRegular(path, await stat(path));
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    checkRegular(path, await handle.stat());
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of handle.createReadStream({ end: maxBytes, autoClose: false })) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
    }
    if (length > maxBytes)
      throw unreadable(path, `it is larger than ${maxBytes / 1024 ** 2} MiB, the most that is taken`);
    return Buffer.concat(chunks);
  } finally {
    await handle.close();
  }
}

function checkRegular(path: string, stats: { isFile(): boolean; isDirectory(): boolean }): void {
  if (!stats.isFile()) throw unreadable(path, stats.isDirectory() ? 'it is a folder' : 'it is not a regular file');
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw unreadable(path, 'it is not UTF-8 text', error);
  }
}

export function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function unreadable(path: string, reason: string, cause?: unknown): HectorError {
  return new HectorError('config_unreadable', `The configuration file ${path} cannot be read: ${reason}.`, { cause });
}
