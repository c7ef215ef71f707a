import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { comingPaths } from '../../core/config/coming.ts';
import type { JsonSchema } from '../../core/config/json-schema.ts';
import { environmentKeyword, resolvedSchema } from '../../core/config/schema.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { root } from './blocks.ts';

/**
 * The tables of docs/configuration.md, made from the composed schema, so that no key is missing and no default is wrong.
 * `node --import tsx test/docs/reference.ts --write` puts them between the marks in the page; a test compares.
 */
const page = join(root, 'docs/configuration.md');
const marks = { begin: '<!-- reference: begin -->', end: '<!-- reference: end -->' };

const schema = resolvedSchema(new Registry(builtins));
const coming = 'x-coming';

interface Row {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly text: string;
}

function rowsOf(node: JsonSchema, prefix: string): Row[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const key = `${prefix}${name}`;
    if (comes(child) !== undefined || 'const' in child) return [];
    const variables = (child as Record<string, unknown>)[environmentKeyword] as string[] | undefined;
    const from = variables ? `; else ${variables.map((name) => `\`${name}\``).join(' or ')}` : '';
    const own: Row = {
      key,
      type: typeOf(child),
      fallback: shownDefault(child),
      text: `${child.description ?? ''}${from}`,
    };
    if (child.properties && Object.keys(child.properties).length > 0) return [own, ...rowsOf(child, `${key}.`)];
    return [own];
  });
}

const comes = (node: JsonSchema) => (node as Record<string, unknown>)[coming] as string | undefined;

function typeOf(node: JsonSchema): string {
  if (node.enum) return node.enum.map((value) => `\`${value}\``).join(', ');
  const format = (node as Record<string, unknown>)['x-format'];
  if (format !== undefined) return String(format);
  if (node.anyOf) return [...new Set(node.anyOf.map(typeOf))].join(' or ');
  if (node.type === 'array')
    return `list of ${node.items && !Array.isArray(node.items) ? typeOf(node.items as JsonSchema) : 'values'}`;
  const types: Record<string, string> = {
    object: 'section',
    string: 'text',
    integer: 'whole number',
    boolean: 'true or false',
  };
  return String(node.type ?? 'any').replace(/^\w+$/, (type) => types[type] ?? type);
}

function shownDefault({ default: value, type }: JsonSchema): string {
  if (value === undefined || type === 'object') return '';
  return `\`${Array.isArray(value) ? JSON.stringify(value) : value}\``;
}

function table(rows: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  return [
    '| key | type | default | |',
    '|---|---|---|---|',
    ...rows.map(
      ({ key, type, fallback, text }) => `| \`${key}\` | ${cell(type)} | ${cell(fallback)} | ${cell(text)} |`,
    ),
  ].join('\n');
}

/** What all variants of a section share, then what each has of its own. */
function instances(title: string, entry: JsonSchema, selector: string, skip: readonly string[] = []): string {
  const variants = (entry.oneOf ?? []).filter((variant) => comes(variant) === undefined);
  const [first, ...others] = variants;
  const sameInAll = Object.keys(first?.properties ?? {}).filter((name) => {
    const text = JSON.stringify(first?.properties?.[name]);
    return (
      name !== selector &&
      others.length > 0 &&
      others.every((variant) => JSON.stringify(variant.properties?.[name]) === text)
    );
  });
  const pick = (variant: JsonSchema, keep: (name: string) => boolean): JsonSchema => ({
    properties: Object.fromEntries(
      Object.entries(variant.properties ?? {}).filter(([name]) => keep(name) && !skip.includes(name)),
    ),
  });
  const parts = [`### ${title}`, entry.description ?? ''];
  if (first && sameInAll.length > 0)
    parts.push(
      title === '`config`' ? 'Whatever the provider:' : 'Every entry has:',
      table(
        rowsOf(
          pick(first, (name) => sameInAll.includes(name)),
          '',
        ),
      ),
    );
  for (const variant of variants) {
    const rows = rowsOf(
      pick(variant, (name) => !sameInAll.includes(name)),
      '',
    );
    parts.push(`**\`${selector}: ${variant.title}\`** — ${variant.description}.`);
    if (rows.length > 0) parts.push(table(rows));
  }
  return parts.filter((part) => part !== '').join('\n\n');
}

export function configurationReference(): string {
  const sections = schema.properties as Record<string, JsonSchema>;
  const entryOf = (name: string) => sections[name]?.additionalProperties as JsonSchema;
  const fixed = ['server', 'storage', 'rate_limiting', 'observability', 'logger', 'defaults'];
  const top = ['version', 'name', 'description', 'plugins'];
  const stores = entryOf('document_stores');
  const { auth } = (sections['server']?.properties ?? {}) as Record<string, JsonSchema>;
  const schemes = auth?.properties?.['schemes']?.items as JsonSchema;
  const parts = [
    '### At the top',
    table(rowsOf({ properties: Object.fromEntries(top.map((name) => [name, sections[name] as JsonSchema])) }, '')),
    instances('`llms.<name>`', entryOf('llms'), 'provider'),
    instances('`agents.<name>`', entryOf('agents'), 'type'),
    instances('`tools.<name>`', entryOf('tools'), 'type'),
    '### `document_stores.<name>`',
    table(
      rowsOf(
        {
          properties: {
            ...stores.properties,
            source: { type: 'object', description: 'Where the documents come from' },
          },
        },
        '',
      ),
    ),
    instances('`document_stores.<name>.source`', stores.properties?.['source'] as JsonSchema, 'type'),
    instances('`secrets.<name>`', entryOf('secrets'), 'type'),
    ...fixed.flatMap((name) => [
      `### \`${name}\``,
      table(rowsOf({ properties: { [name]: sections[name] as JsonSchema } }, '')),
    ]),
    instances('`server.auth.schemes[]`', schemes, 'type'),
    instances('`config`', sections['config'] as JsonSchema, 'provider'),
    '### Coming',
    'Accepted with a warning, because a later version acts on them:',
    comingTable(),
  ];
  return parts.join('\n\n');
}

function comingTable(): string {
  const rows = new Map<string, Set<string>>();
  for (const { path, what } of comingPaths(schema)) rows.set(what, (rows.get(what) ?? new Set()).add(`\`${path}\``));
  return [
    '| keys | for |',
    '|---|---|',
    ...[...rows].map(([what, paths]) => `| ${[...paths].join(', ')} | ${what} |`),
  ].join('\n');
}

/** The page with its tables as they are now. */
export function pageWithReference(): { readonly current: string; readonly expected: string } {
  const current = readFileSync(page, 'utf8');
  const [before, rest] = current.split(marks.begin);
  const after = rest?.split(marks.end)[1];
  if (before === undefined || after === undefined) throw new Error(`${page} lacks ${marks.begin} … ${marks.end}`);
  return { current, expected: `${before}${marks.begin}\n\n${configurationReference()}\n\n${marks.end}${after}` };
}

if (process.argv.includes('--write')) writeFileSync(page, pageWithReference().expected);
