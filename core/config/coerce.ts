import type { ErrorObject } from 'ajv';
import { type JsonSchema, typesOf } from './json-schema.ts';
import { pathOf } from './pointer.ts';
import { type ConfigTree, type ConfigValue, type Container, get, valueAt } from './tree.ts';

/**
 * Turns values into the kind that the schema asked for in vain, where there is only one way to read them: what comes from
 * the environment is always text. Whatever fails for another reason is left as it is. Returns whether anything was changed.
 */
export function coerce(tree: ConfigTree, errors: readonly ErrorObject[]): boolean {
  const done = new Set<string>();
  for (const error of errors) {
    if (done.has(error.instancePath)) continue;
    const path = pathOf(error.instancePath, tree.root);
    const key = path.at(-1);
    if (key === undefined) continue;
    const container = valueAt(tree.root, path.slice(0, -1)) as Container;
    const value = get(container, key) as ConfigValue;
    const meant = converted(value, error, tree.origin(container, key)?.source);
    if (meant === undefined) continue;
    (container as Record<string | number, ConfigValue>)[key] = meant;
    done.add(error.instancePath);
  }
  return done.size > 0;
}

function converted(value: ConfigValue, error: ErrorObject, source: string | undefined): ConfigValue | undefined {
  const schema = error.parentSchema as JsonSchema;
  if (error.keyword === 'enum' && (typeof value === 'number' || typeof value === 'boolean')) {
    const text = source ?? String(value);
    return (error.schema as readonly unknown[]).includes(text) ? text : undefined;
  }
  if (error.keyword !== 'type') return undefined;
  for (const type of typesOf(schema)) {
    const meant = as(type, value, source, schema);
    if (meant !== undefined) return meant;
  }
  return undefined;
}

function as(type: string, value: ConfigValue, source: string | undefined, schema: JsonSchema): ConfigValue | undefined {
  // A key with nothing after it is how YAML writes a section without keys. A list or a scalar left empty may be a slip.
  if (value === null) return type === 'object' ? {} : undefined;
  if (type === 'string')
    return typeof value === 'number' || typeof value === 'boolean' ? (source ?? String(value)) : undefined;
  if (typeof value !== 'string') return undefined;
  if (type === 'boolean') return booleanIn(value);
  if (type === 'integer' || type === 'number') return numberIn(value, type);
  return type === 'array' && takesScalars(schema) ? listIn(value) : undefined;
}

export function booleanIn(text: string): boolean | undefined {
  if (/^(true|True|TRUE|1)$/.test(text)) return true;
  return /^(false|False|FALSE|0)$/.test(text) ? false : undefined;
}

function numberIn(text: string, type: 'integer' | 'number'): number | undefined {
  const pattern = type === 'integer' ? /^[-+]?[0-9]+$/ : /^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$/;
  const number = Number(text);
  const exact = type === 'integer' ? Number.isSafeInteger(number) : Number.isFinite(number);
  return pattern.test(text) && exact ? number : undefined;
}

const scalars: ReadonlySet<string> = new Set(['string', 'number', 'integer', 'boolean']);

function takesScalars({ items }: JsonSchema): boolean {
  if (items === undefined) return true;
  const { anyOf, oneOf, ...item } = (Array.isArray(items) ? {} : items) as JsonSchema;
  const branches = anyOf ?? oneOf ?? [item];
  return branches.some((branch) => branch.enum !== undefined || typesOf(branch).some((type) => scalars.has(type)));
}

/** `a, b` was a list in v2. */
function listIn(text: string): string[] {
  return text.trim() === '' ? [] : text.split(',').map((item) => item.trim());
}
