import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { HectorError } from '../../../core/errors.ts';
import { indented } from './lines.ts';
import { splitEntry, yamlValue } from './split.ts';

/** Keys in the order in which people write them; the others follow. */
const order = [
  'version',
  'name',
  'description',
  'plugins',
  'secrets',
  'llms',
  'databases',
  'document_stores',
  'tools',
  'agents',
];

interface Branch {
  readonly children: Map<string, Branch>;
  /** What an entry has there, and its path. */
  leaf?: { readonly path: string; readonly text: string };
}

/** The entries below a key as one document, each with a comment that says which it is. For people, and for `push`. */
export function mergedDocument(entries: ReadonlyMap<string, string>): string {
  const root: Branch = { children: new Map() };
  for (const [path, text] of entries) {
    let branch = root;
    for (const step of path === '' ? [] : path.split('/')) {
      const next = branch.children.get(step) ?? { children: new Map() };
      branch.children.set(step, next);
      branch = next;
    }
    branch.leaf = { path, text };
  }
  return rendered(root, order);
}

function rendered(branch: Branch, first: readonly string[] = []): string {
  const { children } = unfolded(branch);
  const rank = (key: string) => (first.includes(key) ? first.indexOf(key) : first.length);
  return [...children]
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map(([key, child]) =>
      child.leaf && child.children.size === 0
        ? leafText(key, child.leaf)
        : `${yamlKey(key)}:\n${indented(rendered(child), 2)}`,
    )
    .join('');
}

/** An entry that others lie in is taken apart, so that each stands where it belongs. */
function unfolded(branch: Branch): Branch {
  const { leaf } = branch;
  if (!leaf) return branch;
  const children = new Map(branch.children);
  for (const [key, text] of splitEntry(leaf.text)) {
    const path = leaf.path === '' ? key : leaf.path;
    const other = children.get(key);
    if (other?.leaf)
      throw new HectorError(
        'not_mergeable',
        `The entries "${leaf.path}" and "${other.leaf.path}" both say what "${key}" is. Pull them into a folder (-o folder/), and keep one.`,
      );
    children.set(key, { children: other?.children ?? new Map(), leaf: { path, text } });
  }
  return { children };
}

function leafText(key: string, { path, text }: { path: string; text: string }): string {
  const { value, problem } = yamlValue(text);
  if (problem !== undefined)
    throw new HectorError(
      'not_mergeable',
      `The entry "${path}" is no YAML (${problem}): pull into a folder (-o folder/) to see it.`,
    );
  const body = text.trimEnd();
  const isShort = !body.includes('\n') && (typeof value !== 'object' || value === null || /^[[{]/.test(body));
  const name = yamlKey(key);
  const asWritten = isShort ? `${name}: ${body}\n` : `${name}:\n${indented(body, 2)}\n`;
  const same = isDeepStrictEqual(yamlValue(asWritten).value, { [key]: value });
  return `# ${path}\n${same ? asWritten : stringify({ [key]: value }, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

/** In quotes where it would be something else without: `on`, `12`. */
function yamlKey(key: string): string {
  return stringify({ [key]: 0 }, { lineWidth: 0 }).replace(/: 0\n$/, '');
}
