import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { errorCode, errorMessage, HectorError } from '../errors.ts';

/** Where `${VAR}` is looked up. */
export interface Environment {
  get(name: string): string | undefined;
  /** The files that were looked at: absolute path, and sha256 of the content (hexadecimal), '' where there was none. */
  readonly files?: ReadonlyMap<string, string>;
}

export interface EnvironmentOptions {
  /** The folder of the configuration file. */
  readonly folder?: string | undefined;
}

/**
 * The variables of the process, then those of `.env` in the folder of the configuration, in the working directory and in
 * ~/.hector; the first to define a name wins. The process's own environment is read, never written.
 */
export function readEnvironment({ folder }: EnvironmentOptions = {}): Environment {
  const folders = [...(folder === undefined ? [] : [folder]), process.cwd(), ...ownFolder()];
  const files = new Set(folders.map((each) => resolve(each, '.env')));
  const variables = new Map<string, string>();
  const hashes = new Map<string, string>();
  const read = (file: string) => {
    const text = textOf(file);
    hashes.set(file, text === undefined ? '' : createHash('sha256').update(text).digest('hex'));
    return text === undefined ? {} : variablesIn(file, text.toString());
  };
  for (const source of [process.env, ...[...files].map(read)]) {
    for (const [name, value] of Object.entries(source)) {
      if (value !== undefined && !variables.has(name)) variables.set(name, value);
    }
  }
  return { get: (name) => variables.get(name), files: hashes };
}

/** ~/.hector, but for a user without a home, such as a number that a container is run as. */
function ownFolder(): readonly string[] {
  try {
    return [join(homedir(), '.hector')];
  } catch (error) {
    if (errorCode(error) === 'ERR_SYSTEM_ERROR') return [];
    throw error;
  }
}

export function environmentOf(record: Readonly<Record<string, string | undefined>>): Environment {
  return { get: (name) => (Object.hasOwn(record, name) ? record[name] : undefined) };
}

function textOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw new HectorError('environment', `${file} cannot be read: ${errorMessage(error)}.`, { cause: error });
  }
}

function variablesIn(file: string, text: string): Readonly<Record<string, string | undefined>> {
  const line = malformedLine(text);
  if (line !== undefined) {
    throw new HectorError(
      'environment',
      `${file}:${line} is not a line of the form NAME=value. Correct it, or put a # before it.`,
    );
  }
  return parseEnv(text);
}

/** `parseEnv` takes anything for something: a line without "=" becomes part of the next name. */
function malformedLine(text: string): number | undefined {
  const assignment =
    /(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=[ \t]*(?:"[^"]*"|'[^']*'|`[^`]*`|(?!["'`])[^\r\n]*)?/y;
  const between = /(?:[ \t\r\n\uFEFF]+|#[^\r\n]*)*/y;
  const rest = /[ \t]*(?:#[^\r\n]*)?(?:\r?\n|$)/y;
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match !== null;
  };
  while (take(between) && at < text.length) {
    const start = at;
    if (text.includes('\0', start) || !take(assignment) || !take(rest)) return text.slice(0, start).split('\n').length;
  }
  return undefined;
}
