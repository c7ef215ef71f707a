import { fileKeyword, referenceKeyword } from '../plugin/reference.ts';
import { warnComing } from './coming.ts';
import { type NamedFile, namedFile } from './config-files.ts';
import { descend } from './descend.ts';
import type { Findings } from './findings.ts';
import type { ConfigPath } from './issue.ts';
import { type NameUse, nameIn } from './references.ts';
import { isSensitive } from './sensitive.ts';
import type { ConfigTree } from './tree.ts';
import type { CompiledSchema } from './validate.ts';

interface Options {
  readonly findings: Findings;
  readonly secrets: Set<string>;
  folderOf(path: ConfigPath): string | undefined;
}

export interface Inspected {
  /** Names of other things in the configuration, to be checked when all of those are known. */
  readonly uses: readonly NameUse[];
  readonly files: readonly NamedFile[];
}

/** What the schema says of a value beyond its form: that it is a name, that it is not acted on, that it is a secret, that it is a file. */
export function inspect(
  tree: ConfigTree,
  { schema }: CompiledSchema,
  { findings, secrets, folderOf }: Options,
): Inspected {
  const uses: NameUse[] = [];
  const files: NamedFile[] = [];
  descend(schema, tree.root, (own, value, { path, container, key }) => {
    warnComing(own, path, findings);
    const use = own[referenceKeyword] === undefined ? undefined : nameIn(own, value, path, tree);
    if (use) uses.push(use);
    const file = own[fileKeyword] === undefined ? undefined : namedFile(own, value, [...path], { findings, folderOf });
    if (file) files.push(file);
    // A list that was one text: the secret is each of its items as much as the whole.
    if (Array.isArray(value) && tree.origin(container, key)?.reference !== undefined) {
      for (const item of value) if (typeof item === 'string') secrets.add(item);
    }
    if (typeof value === 'string' && isSensitive(path, own)) {
      tree.mark(container, key, { secret: true });
      // A short one is as likely to be a word, and would black that out of every log.
      if (value.length >= 8) secrets.add(value);
    }
  });
  return { uses, files };
}
