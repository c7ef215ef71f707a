import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../errors.ts';
import { fileKeyword } from '../plugin/reference.ts';
import type { Findings } from './findings.ts';
import type { ConfigPath } from './issue.ts';
import type { JsonSchema } from './json-schema.ts';
import type { ConfigValue } from './tree.ts';

/** A file that an option names. */
export interface ConfigFile {
  /** Of the option. */
  readonly path: ConfigPath;
  /** sha256 of the content, hexadecimal; '' where there is none to be read. */
  readonly hash: string;
}

export interface NamedFile {
  readonly path: ConfigPath;
  /** Absolute. */
  readonly file: string;
}

interface Options {
  readonly findings: Findings;
  /** The folder that relative paths at a place start from. */
  folderOf(path: ConfigPath): string | undefined;
}

/** The file that a value names, if its schema says that it names one. */
export function namedFile(
  schema: JsonSchema,
  value: ConfigValue,
  path: ConfigPath,
  { findings, folderOf }: Options,
): NamedFile | undefined {
  const kind = schema[fileKeyword];
  if (kind === undefined || typeof value !== 'string') return undefined;
  const name = kind === 'module' ? value.replace(/#[^#/\\]*$/, '') : value;
  if (name === '') return undefined;
  const folder = folderOf(path);
  if (!isAbsolute(name) && folder === undefined) {
    const message = `the file "${name}" is relative, and this document is not in a folder. Write an absolute path`;
    findings.error(path, 'reference', message);
    return undefined;
  }
  return { path, file: resolve(folder ?? '/', name) };
}

/** By absolute path; '' where there is nothing to be read. */
export type FileHashes = Map<string, Promise<string>>;

/** Reads each file that is not in `known` yet, and notes its hash in `files`. */
export async function hashFiles(
  named: readonly NamedFile[],
  files: Map<string, string>,
  known: FileHashes,
): Promise<ConfigFile[]> {
  const hashed: ConfigFile[] = [];
  for (const { path, file } of named) {
    const hash = files.get(file) ?? (await hashOnce(file, known));
    files.set(file, hash);
    hashed.push({ path, hash });
  }
  return hashed;
}

export function hashOnce(file: string, known: FileHashes): Promise<string> {
  const hash = known.get(file) ?? hashOfFile(file);
  known.set(file, hash);
  return hash;
}

/** What cannot be read has no content: whoever needs the file says what is wrong with it, where it is needed. */
async function hashOfFile(file: string): Promise<string> {
  try {
    // Asked before it is opened: opening a pipe waits for somebody to write.
    if (!(await stat(file)).isFile()) return '';
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    return hash.digest('hex');
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return '';
  }
}
