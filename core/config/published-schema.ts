import type { Registry } from '../plugin/registry.ts';
import { type JsonSchema, mapSubschemas, typesOf } from './json-schema.ts';
import { defaultConfigProvider } from './language/config.ts';
import { environmentKeyword, pointKeyword, resolvedSchema } from './schema.ts';

/** What `normalize` selects where the document is silent; for LLMs it depends on the environment. */
const impliedSelectors: Readonly<Record<string, string>> = {
  agent: 'llm',
  toolset: 'mcp',
  document_store: 'directory',
  config: defaultConfigProvider,
};
const impliedOptions: Readonly<Record<string, readonly string[]>> = { agent: ['llm'] };

const reference: JsonSchema = { type: 'string', pattern: '\\$\\{' };

/**
 * The schema of a document as people write it, for editors and `hector schema`: references in place of values, numbers in
 * quotes, both placements, and nothing required that is filled in.
 */
export function composedSchema(registry: Registry): JsonSchema {
  const { required: _, ...schema } = written(resolvedSchema(registry));
  const properties = schema.properties as Record<string, JsonSchema>;
  return {
    ...schema,
    properties: {
      ...properties,
      server: withFormerPlaces(properties),
      databases: withUsernames(properties['databases'] as JsonSchema),
    },
  };
}

function written(schema: JsonSchema): JsonSchema {
  if (schema.discriminator) return selected(schema);
  const inner = mapSubschemas(schema, written);
  if (schema.enum || 'const' in schema) return enumeration(inner);
  const [type, ...others] = typesOf(inner);
  if (others.length > 0) return inner;
  if (type === 'object') return { ...inner, type: ['object', 'null'], ...without(inner) };
  if (type === 'array') return list(inner);
  if (type === 'integer' || type === 'number')
    return either(inner, { type: 'string', pattern: '^[-+0-9.eE]+$|\\$\\{' });
  if (type === 'boolean')
    return either(inner, { type: 'string', pattern: '^([Tt]rue|TRUE|[Ff]alse|FALSE|0|1)$|\\$\\{' });
  return type === 'string' ? text(inner) : inner;
}

/** Without the keys that have a default or that the environment gives. */
function without(schema: JsonSchema, filled: readonly string[] = []): { required: readonly string[] } {
  const optional = (name: string) => {
    const property = schema.properties?.[name];
    return filled.includes(name) || property?.default !== undefined || property?.[environmentKeyword] !== undefined;
  };
  return { required: (schema.required ?? []).filter((name) => !optional(name)) };
}

/** The notes stay outside, where editors look for them. */
function either(schema: JsonSchema, ...others: readonly JsonSchema[]): JsonSchema {
  const notes: Record<string, unknown> = {};
  const rules: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const isNote =
      keyword.startsWith('x-') ||
      ['title', 'description', 'default', 'examples', 'writeOnly', 'deprecated'].includes(keyword);
    (isNote ? notes : rules)[keyword] = value;
  }
  return { ...notes, anyOf: [rules, ...others] };
}

function enumeration(schema: JsonSchema): JsonSchema {
  const texts = (schema.enum ?? [schema.const]).filter((value) => typeof value === 'string');
  const bare = texts.flatMap((value): unknown[] =>
    /^[0-9]+$/.test(value) ? [Number(value)] : value === 'true' || value === 'false' ? [value === 'true'] : [],
  );
  return either(schema, reference, ...(bare.length > 0 ? [{ enum: bare }] : []));
}

function text(schema: JsonSchema): JsonSchema {
  const type = ['string', 'number', 'boolean'];
  const { pattern, minLength, maxLength, format, ...rest } = schema;
  const limited = pattern !== undefined || minLength !== undefined || maxLength !== undefined || format !== undefined;
  return limited ? either({ ...schema, type }, reference) : { ...rest, type };
}

function list(schema: JsonSchema): JsonSchema {
  const items = Array.isArray(schema.items) ? undefined : (schema.items as JsonSchema | undefined);
  const ofTexts = items === undefined || ['string', ...typesOf(items)].includes('string') || items.anyOf !== undefined;
  return ofTexts ? either(schema, { type: ['string'] }) : schema;
}

/** One rule a variant, so that an editor's complaint is about the variant that is meant. */
function selected(schema: JsonSchema): JsonSchema {
  const selector = schema.discriminator?.propertyName as string;
  const point = String(schema[pointKeyword]);
  const options = impliedOptions[point] ?? [];
  const all = (schema.oneOf ?? []).map((variant) => {
    const name = String(variant.properties?.[selector]?.const);
    const { [selector]: _, ...properties } = variant.properties ?? {};
    const inner = mapSubschemas({ ...variant, properties }, written);
    const required = without(variant, [selector, ...options]).required;
    return {
      name,
      schema: { ...inner, properties: { [selector]: {}, ...inner.properties }, required, type: ['object', 'null'] },
    };
  });
  const implied = all.filter(({ name }) => point === 'llm' || name === impliedSelectors[point]);
  return {
    ...(schema.description === undefined ? {} : { description: schema.description }),
    [pointKeyword]: point,
    type: ['object', 'null'],
    properties: { [selector]: { anyOf: [{ enum: all.map(({ name }) => name) }, reference] } },
    required: point === 'llm' || impliedSelectors[point] !== undefined ? [] : [selector],
    allOf: [
      ...all.map(({ name, schema: then }) =>
        when({ properties: { [selector]: { const: name } }, required: [selector] }, then),
      ),
      ...(implied.length > 0
        ? [when({ not: { required: [selector] } }, { anyOf: implied.map((each) => each.schema) })]
        : []),
    ],
  };
}

const when = (condition: JsonSchema, then: JsonSchema): JsonSchema => ({ if: condition, then });

/** v2 had these under `server`. */
function withFormerPlaces(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const server = properties['server'] as JsonSchema;
  const storage = properties['storage'] as JsonSchema;
  const { tasks, sessions, memory, checkpoint } = storage.properties as Record<string, JsonSchema>;
  const former = { storage, tasks, sessions, memory, checkpoint, observability: properties['observability'] };
  return { ...server, properties: { ...server.properties, ...former } } as JsonSchema;
}

/** Databases take `username` for `user`. */
function withUsernames(schema: JsonSchema): JsonSchema {
  return mapSubschemas(schema, (each) => {
    const user = each.properties?.['user'];
    const inner = withUsernames(each);
    return user ? { ...inner, properties: { username: user, ...inner.properties } } : inner;
  });
}
