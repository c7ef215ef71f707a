import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode, HectorError } from '../../../core/errors.ts';
import type { Output } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import type { EditableSource } from './editable-source.ts';
import { mergedDocument } from './merge.ts';

/** The document as the source has it. One of entries is merged, or written into a folder, a file an entry. */
export async function pullCommand(
  source: EditableSource,
  { output }: { readonly output?: string },
  signal: AbortSignal,
): Promise<Output> {
  const { text, entries, revision, missing } = await source.read(signal);
  if (missing)
    throw new HectorError('missing', `There is nothing at ${source.source} yet: push a configuration to it.`);
  const stderr = `${source.source}: revision ${revision}\n`;
  const isFolder = output !== undefined && (output.endsWith('/') || (await isDirectory(output)));
  if (isFolder) {
    if (!entries)
      throw new UsageError(`${source.source} is one document: name a file to write it to, not the folder ${output}.`);
    const others = await writeFolder(output, entries);
    const note = others
      .map((path) => `${join(output, path)} is not in it: a push of the folder would add it.\n`)
      .join('');
    return { code: 0, stderr: `${stderr}${note}` };
  }
  const document = entries ? mergedDocument(entries) : text;
  if (output === undefined) return { code: 0, stdout: document, stderr };
  await writeFile(output, document);
  return { code: 0, stderr };
}

/** Returns the configuration files that were there before and are none of these. */
async function writeFolder(folder: string, entries: ReadonlyMap<string, string>): Promise<string[]> {
  for (const path of entries.keys()) checkPath(path);
  const written = new Set<string>();
  for (const [path, text] of entries) {
    const file = `${path}.yaml`;
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
    written.add(file);
  }
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((each) => each.isFile() && /\.(yaml|yml|json)$/.test(each.name))
    .map((each) => join(each.parentPath, each.name).slice(join(folder, '/').length))
    .filter((path) => !written.has(path) && !path.split('/').some((step) => step.startsWith('.')))
    .sort();
}

/** Others may have written the store: nothing of it lands outside of the folder. */
function checkPath(path: string): void {
  const steps = path.split('/');
  if (!steps.some((step) => step === '' || step.startsWith('.') || /[\\\p{Cc}]/u.test(step))) return;
  throw new HectorError(
    'invalid_entry',
    `The entry "${path}" is not written to a file: its name has an empty part, or one that begins with a dot or is no file name.`,
  );
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
