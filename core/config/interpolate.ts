import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { errorCode, errorMessage } from '../errors.ts';
import type { Environment } from './environment.ts';
import type { Findings } from './findings.ts';
import { parseTemplate, type Segment } from './template.ts';
import type { ConfigTree, ConfigValue, Container } from './tree.ts';

const maxFileBytes = 1024 * 1024;

interface Options {
  readonly environment: Environment;
  readonly folder: string | undefined;
  readonly findings: Findings;
  /** Takes every value that came from outside of the document. */
  readonly secrets: Set<string>;
}

/** Replaces the references in every scalar of the tree. Keys and comments are left alone. */
export async function interpolate(tree: ConfigTree, options: Options): Promise<void> {
  const reader = new ReferenceReader(options);
  const path: (string | number)[] = [];
  const visit = async (container: Container): Promise<void> => {
    for (const [key, value] of entries(container)) {
      // What a flag has set is taken literally.
      if (tree.origin(container, key)?.flag !== undefined) continue;
      path.push(key);
      if (typeof value === 'object' && value !== null) await visit(value);
      else if (typeof value === 'string' && value.includes('$')) {
        const { text, problems } = await reader.resolve(value);
        (container as Record<string | number, ConfigValue>)[key] = text;
        if (text !== value || problems.length > 0)
          tree.mark(container, key, { reference: value, unresolved: problems.length > 0 });
        for (const problem of problems) options.findings.error([...path], 'variable', problem);
      }
      path.pop();
    }
  };
  await visit(tree.root);
}

function entries(container: Container): [string | number, ConfigValue][] {
  return Array.isArray(container) ? [...container.entries()] : Object.entries(container);
}

class ReferenceReader {
  readonly #options: Options;
  readonly #files = new Map<string, Promise<{ text: string } | { problem: string }>>();

  constructor(options: Options) {
    this.#options = options;
  }

  async resolve(template: string): Promise<{ text: string; problems: string[] }> {
    const problems: string[] = [];
    let text = '';
    for (const segment of parseTemplate(template)) {
      const result = segment.type === 'file' ? await this.#file(segment.path) : this.#inline(segment);
      if ('text' in result) text += result.text;
      else problems.push(result.problem);
    }
    return problems.length > 0 ? { text: template, problems } : { text, problems };
  }

  #inline(segment: Exclude<Segment, { type: 'file' }>): { text: string } | { problem: string } {
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

  #file(path: string): Promise<{ text: string } | { problem: string }> {
    let file = this.#files.get(path);
    if (!file) {
      file = this.#read(path);
      this.#files.set(path, file);
    }
    return file;
  }

  async #read(path: string): Promise<{ text: string } | { problem: string }> {
    const { folder, secrets } = this.#options;
    if (!isAbsolute(path) && folder === undefined) {
      return {
        problem: `the file "${path}" is relative, and this document is not in a folder. Write an absolute path`,
      };
    }
    const full = resolve(folder ?? '/', path);
    try {
      // Asked before it is opened: opening a pipe waits for somebody to write.
      const info = await stat(full);
      if (!info.isFile()) return { problem: `${full} is not a regular file` };
      if (info.size > maxFileBytes) return { problem: `${full} has ${info.size} bytes; at most 1 MiB is read` };
      const text = (await readFile(full, 'utf8')).replace(/\r?\n$/, '');
      secrets.add(text);
      return { text };
    } catch (error) {
      return {
        problem:
          errorCode(error) === 'ENOENT' ? `there is no file ${full}` : `${full} cannot be read: ${errorMessage(error)}`,
      };
    }
  }
}
