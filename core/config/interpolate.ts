import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { errorCode, errorMessage } from '../errors.ts';
import type { Environment } from './environment.ts';
import type { Findings } from './findings.ts';
import type { SecretReader } from './stored-secrets.ts';
import { parseTemplate, type Segment } from './template.ts';
import type { ConfigText } from './text.ts';
import type { ConfigTree, ConfigValue, Container } from './tree.ts';

const maxFileBytes = 1024 * 1024;

interface Options {
  readonly environment: Environment;
  readonly findings: Findings;
  /** Takes every value that came from outside of the document. */
  readonly secrets: Set<string>;
  /** Takes every file that is read, or looked for: absolute path, and sha256 of the content, '' where there is none. */
  readonly files: Map<string, string>;
  /** Files that were read for another part of the same configuration: one load sees one content of each. */
  readonly contents?: FileContents | undefined;
  /** Who reads from secret stores; where nobody can, which has been reported, references to them stay as they are. */
  readonly stored: SecretReader | undefined;
  /** Takes the value of each of those references, by its name. */
  readonly read?: Map<string, string> | undefined;
  /** The sections whose scalars are meant; default: all. */
  isMeant?(section: string | number): boolean;
}

/** By absolute path. */
export type FileContents = Map<string, Promise<FileContent>>;
type FileContent = ({ readonly text: string } | { readonly problem: string }) & { readonly hash: string };

/** Replaces the references in every scalar of the tree. Keys and comments are left alone. */
export async function interpolate(tree: ConfigTree, options: Options): Promise<void> {
  const reader = new ReferenceReader(options);
  await options.stored?.readAll(storedNames(tree.root, options));
  const path: (string | number)[] = [];
  const visit = async (container: Container): Promise<void> => {
    for (const [key, value] of entries(container)) {
      const origin = tree.origin(container, key);
      // What a flag has set is taken literally.
      if (origin?.flag !== undefined) continue;
      if (path.length === 0 && options.isMeant?.(key) === false) continue;
      path.push(key);
      if (typeof value === 'object' && value !== null) await visit(value);
      else if (typeof value === 'string' && value.includes('$')) {
        const { text, problems, resolved } = await reader.resolve(value, origin?.text);
        (container as Record<string | number, ConfigValue>)[key] = text;
        if (text !== value || !resolved) tree.mark(container, key, { reference: value, unresolved: !resolved });
        for (const { problem, suggestion } of problems)
          options.findings.error([...path], 'variable', problem, suggestion);
      }
      path.pop();
    }
  };
  await visit(tree.root);
}

/** What is read of secret stores, so that it can be read at once. A flag may look as if it referred to one, which costs a question. */
function* storedNames(container: Container, { isMeant }: Pick<Options, 'isMeant'>): Generator<string> {
  for (const [key, value] of entries(container)) {
    if (isMeant?.(key) === false) continue;
    if (typeof value === 'object' && value !== null) yield* storedNames(value, {});
    else if (typeof value === 'string' && value.includes('${'))
      for (const segment of parseTemplate(value)) if (segment.type === 'stored') yield segment.name;
  }
}

function entries(container: Container): [string | number, ConfigValue][] {
  return Array.isArray(container) ? [...container.entries()] : Object.entries(container);
}

interface Problem {
  readonly problem: string;
  readonly suggestion?: string | undefined;
}

class ReferenceReader {
  readonly #options: Options;
  readonly #contents: FileContents;

  constructor(options: Options) {
    this.#options = options;
    this.#contents = options.contents ?? new Map();
  }

  /** References to files start from the folder of the text that they are in. */
  async resolve(
    template: string,
    text: ConfigText | undefined,
  ): Promise<{ text: string; problems: Problem[]; resolved: boolean }> {
    const problems: Problem[] = [];
    let resolved = '';
    let unknown = false;
    for (const segment of parseTemplate(template)) {
      const result =
        segment.type === 'file'
          ? await this.#file(segment.path, text)
          : segment.type === 'stored'
            ? await this.#stored(segment.name)
            : this.#inline(segment);
      if (!result) unknown = true;
      else if ('text' in result) resolved += result.text;
      else problems.push(result);
    }
    return unknown || problems.length > 0
      ? { text: template, problems, resolved: false }
      : { text: resolved, problems, resolved: true };
  }

  #inline(segment: Exclude<Segment, { type: 'file' | 'stored' }>): { text: string } | Problem {
    if (segment.type === 'text') return segment;
    if (segment.type === 'mistake') return { problem: segment.message };
    const { name, fallback } = segment;
    const value = this.#options.environment.get(name);
    if (fallback !== undefined && (value === undefined || value === '')) return { text: fallback };
    if (value === undefined) {
      return { problem: `the environment variable ${name} is not set. Set it, or give a default: \${${name}:-…}` };
    }
    this.#options.secrets.add(value);
    return { text: value };
  }

  async #stored(name: string): Promise<{ text: string } | Problem | undefined> {
    const { stored, read, secrets } = this.#options;
    const found = await stored?.read(name);
    if (found && 'text' in found) {
      secrets.add(found.text);
      read?.set(name, found.text);
    }
    return found;
  }

  async #file(path: string, text: ConfigText | undefined): Promise<{ text: string } | Problem> {
    if (!isAbsolute(path) && text?.folder === undefined) {
      return {
        problem: `the file "${path}" is relative, and this document is not in a folder. Write an absolute path`,
      };
    }
    const full = resolve(text?.folder ?? '/', path);
    let content = this.#contents.get(full);
    if (!content) {
      content = readContent(full);
      this.#contents.set(full, content);
    }
    const { files, secrets } = this.#options;
    const found = await content;
    files.set(full, found.hash);
    if ('text' in found) secrets.add(found.text);
    return found;
  }
}

async function readContent(full: string): Promise<FileContent> {
  try {
    // Asked before it is opened: opening a pipe waits for somebody to write.
    const info = await stat(full);
    if (!info.isFile()) return { problem: `${full} is not a regular file`, hash: '' };
    if (info.size > maxFileBytes) return { problem: `${full} has ${info.size} bytes; at most 1 MiB is read`, hash: '' };
    const content = await readFile(full);
    const hash = createHash('sha256').update(content).digest('hex');
    return { text: content.toString('utf8').replace(/\r?\n$/, ''), hash };
  } catch (error) {
    const problem =
      errorCode(error) === 'ENOENT' ? `there is no file ${full}` : `${full} cannot be read: ${errorMessage(error)}`;
    return { problem, hash: '' };
  }
}
