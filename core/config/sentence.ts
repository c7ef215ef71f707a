import type { ErrorObject } from 'ajv';
import { type PointName, points } from '../extension/points.ts';
import { aliases, goneKeys, goneValues, laterNames } from './history.ts';
import type { ConfigPath } from './issue.ts';
import { type JsonSchema, jsonType, typesOf } from './json-schema.ts';
import { environmentKeyword, pointKeyword } from './schema.ts';
import { isSensitive } from './sensitive.ts';
import { closest, listed } from './suggestion.ts';
import type { ConfigTree } from './tree.ts';

export interface Sentence {
  readonly message: string;
  readonly suggestion?: string | undefined;
}

/** What one error of the validator means to whoever wrote the document. */
export function sentence(error: ErrorObject, path: ConfigPath, tree: ConfigTree): Sentence {
  const { keyword, params } = error;
  const schema = error.parentSchema as JsonSchema;
  const got = () => shown(error.data, path, tree);
  switch (keyword) {
    case 'additionalProperties':
      return unknownKey(path, schema, tree);
    case 'required':
      return missingKey(path, schema, tree);
    case 'discriminator':
      return unknownExtension(path, schema, params['tagValue'], tree);
    case 'type':
      return { message: wrongType(typesOf(schema), error.data, got()) };
    case 'enum':
    case 'const':
      return notAllowed(schema.enum ?? [schema.const], error.data, path, got());
    case 'anyOf':
    case 'oneOf':
      return noBranch((schema.anyOf ?? schema.oneOf) as readonly JsonSchema[], error.data, path, got());
    case 'pattern':
      return {
        message: error.propertyName === undefined ? wrongForm(schema, got()) : badName(error.propertyName, path),
      };
    case 'format':
      return { message: `expected ${article(String(params['format']))}, got ${got()}` };
    case 'minimum':
    case 'exclusiveMinimum':
    case 'maximum':
    case 'exclusiveMaximum':
      return { message: `${bounds[params['comparison'] as string] ?? 'must be'} ${params['limit']}, got ${got()}` };
    case 'multipleOf':
      return { message: `must be a multiple of ${params['multipleOf']}, got ${got()}` };
    case 'minLength':
      return {
        message: params['limit'] === 1 ? 'must not be empty' : `must have at least ${params['limit']} characters`,
      };
    case 'maxLength':
      return { message: `must have at most ${params['limit']} characters` };
    case 'minItems':
      return {
        message: params['limit'] === 1 ? 'must not be an empty list' : `must have at least ${params['limit']} items`,
      };
    case 'maxItems':
      return { message: `must have at most ${params['limit']} items` };
    case 'minProperties':
      return { message: `must have at least ${params['limit']} ${params['limit'] === 1 ? 'key' : 'keys'}` };
    case 'maxProperties':
      return { message: `must have at most ${params['limit']} keys` };
    case 'uniqueItems':
      return { message: repeated(error.data, Number(params['i']), Number(params['j']), path, tree) };
    case 'dependentRequired':
    case 'dependencies':
      return { message: `needs ${params['deps']} when ${params['property']} is given` };
    default:
      return { message: error.message ?? `breaks the rule "${keyword}"` };
  }
}

const bounds: Readonly<Record<string, string>> = {
  '>=': 'must be at least',
  '>': 'must be more than',
  '<=': 'must be at most',
  '<': 'must be less than',
};

const nouns: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'text',
  array: 'a list',
  object: 'keys and values',
  null: 'nothing',
};

const article = (noun: string) => (/^(LLM|[aeio])/.test(noun) ? `an ${noun}` : `a ${noun}`);

/** A value in a message. What came from outside of the document, or is a secret, is not told. */
export function shown(value: unknown, path: ConfigPath, tree: ConfigTree): string {
  const reference = tree.originAt(path)?.reference;
  if (reference !== undefined) return `the value of "${reference}"`;
  if (typeof value === 'number')
    return isSensitive(path) ? 'a number' : `the number ${tree.originAt(path)?.source ?? value}`;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return nouns[jsonType(value)] ?? 'something else';
  if (isSensitive(path)) return 'text';
  return `text ${JSON.stringify(value.length <= 60 ? value : `${value.slice(0, 60)}…`)}`;
}

function wrongType(types: readonly string[], value: unknown, got: string): string {
  const wanted = types.map((type) => nouns[type] ?? type).join(' or ');
  const advice = value === null ? '. Give it a value, or remove the key' : '';
  return `expected ${wanted}, got ${got}${advice}`;
}

function unknownKey(path: ConfigPath, schema: JsonSchema, tree: ConfigTree): Sentence {
  const written = tree.written(path);
  const gone = goneKeys.find(({ at }) => matches(at, written));
  if (gone) return { message: gone.why };
  const key = String(path.at(-1));
  const known = Object.keys(schema.properties ?? {});
  const suggestion = aliases[key] !== undefined && known.includes(aliases[key]) ? aliases[key] : closest(key, known);
  const message = `there is no key "${key}" here`;
  return suggestion === undefined ? { message: `${message} ${listed('known', known)}` } : { message, suggestion };
}

function matches(pattern: string, path: ConfigPath): boolean {
  const steps = pattern.split('.');
  return steps.length === path.length && steps.every((step, index) => step === '*' || step === path[index]);
}

function missingKey(path: ConfigPath, schema: JsonSchema, tree: ConfigTree): Sentence {
  const key = String(path.at(-1));
  const variables = schema.properties?.[key]?.[environmentKeyword] as readonly string[] | undefined;
  if (variables) return { message: `is missing. Set ${variables.join(' or ')}, or write "${key}:"` };
  if (path.length === 3 && path[0] === 'agents' && key === 'llm') {
    const llms = listed('defined', tree.names.of('llms'));
    return { message: `is missing, and there is no default: name one ${llms}, or set defaults.llm` };
  }
  return { message: 'is missing' };
}

function unknownExtension(path: ConfigPath, schema: JsonSchema, value: unknown, tree: ConfigTree): Sentence {
  const point = schema[pointKeyword] as PointName;
  const { noun } = points[point];
  const selector = String(path.at(-1));
  const names = (schema.oneOf ?? [])
    .map((variant) => variant.properties?.[selector]?.const)
    .filter((name): name is string => typeof name === 'string' && name !== ' ');
  const origin = tree.originAt(path);
  if (value === undefined) return { message: `is missing: the name of ${article(noun)} ${listed('there are', names)}` };
  if (typeof value !== 'string')
    return { message: `expected the name of ${article(noun)}, got ${shown(value, path, tree)}` };
  if (origin?.reference !== undefined) {
    return { message: `no ${noun} is named what "${origin.reference}" stands for ${listed('defined', names)}` };
  }
  if (laterNames[point]?.includes(value)) {
    const which = origin?.implied ? `is missing, which means "${value}", and the` : 'the';
    return { message: `${which} ${noun} "${value}" is not in this version of Hector ${listed('there are', names)}` };
  }
  return { message: `no ${noun} is named "${value}" ${listed('defined', names)}`, suggestion: closest(value, names) };
}

function notAllowed(allowed: readonly unknown[], value: unknown, path: ConfigPath, got: string): Sentence {
  const gone = goneValues.find((each) => matches(each.at, path) && each.value === value);
  const texts = allowed.map((each) => String(each));
  const which = texts.length === 1 ? `expected ${texts[0]}` : `expected one of ${texts.join(', ')}`;
  if (gone) return { message: `${which}, got ${got}. ${gone.why}` };
  return { message: `${which}, got ${got}`, suggestion: typeof value === 'string' ? closest(value, texts) : undefined };
}

function noBranch(branches: readonly JsonSchema[], value: unknown, path: ConfigPath, got: string): Sentence {
  const constants = branches.flatMap((branch) => branch.enum ?? ('const' in branch ? [branch.const] : []));
  if (constants.length >= branches.length) return notAllowed(constants, value, path, got);
  const types = [...new Set(branches.flatMap(typesOf))];
  return types.length === 0 || types.includes(jsonType(value))
    ? { message: `${got} is none of the forms that are allowed here` }
    : { message: wrongType(types, value, got) };
}

function wrongForm(schema: JsonSchema, got: string): string {
  if (schema['x-format'] === 'duration') return `expected a duration such as 30s, 5m or 1h30m, got ${got}`;
  if (schema['x-format'] === 'size') return `expected a size such as 512KB or 1MiB, or a number of bytes, got ${got}`;
  if (schema.pattern === '^/') return `expected a path that begins with "/", got ${got}`;
  if (schema.pattern === '^https?://') return `expected a URL that begins with http:// or https://, got ${got}`;
  return `expected text of the form /${schema.pattern}/, got ${got}`;
}

function badName(name: string, path: ConfigPath): string {
  if (path[0] === 'secrets')
    return `${JSON.stringify(name)} cannot be the name of a secret store: lower-case letters, digits and "-", a letter first, and neither "env" nor "file"`;
  return `${JSON.stringify(name)} cannot be a name: letters, digits, "_" and "-", not "-" first, at most 64 of them`;
}

function repeated(value: unknown, i: number, j: number, path: ConfigPath, tree: ConfigTree): string {
  const [first, second] = [Math.min(i, j), Math.max(i, j)];
  const item: unknown = Array.isArray(value) ? value[first] : undefined;
  const isTold =
    typeof item === 'string' &&
    !isSensitive(path) &&
    [path, [...path, first], [...path, second]].every((each) => tree.originAt(each)?.reference === undefined);
  return `has ${isTold ? `"${item}"` : 'the same item'} twice, as items ${first} and ${second}; keep one`;
}
