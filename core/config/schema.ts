import { type PointName, points } from '../extension/points.ts';
import type { Extension } from '../plugin/definition.ts';
import type { Registry } from '../plugin/registry.ts';
import { type JsonSchema, mapSubschemas } from './json-schema.ts';
import { agentCommon } from './language/agent.ts';
import { configCommon, defaultConfigProvider } from './language/config.ts';
import { documentStoreCommon } from './language/document-store.ts';
import { fixedSections } from './language/hector.ts';
import { llmCommon } from './language/llm.ts';
import { secretCommon, storeNamePattern } from './language/secret.ts';
import { databaseComing } from './language/storage.ts';
import { toolCommon } from './language/tool.ts';

/** The keyword that says which extension point the variants of a schema belong to. */
export const pointKeyword = 'x-point';
/** The keyword that lists the environment variables an option is read from. */
export const environmentKeyword = 'x-environment';

const namePattern = '^[a-zA-Z0-9_][a-zA-Z0-9_-]{0,63}$';

/** Drivers whose entries are accepted although nothing provides them yet. */
const comingDrivers = ['postgres', 'mysql', 'sqlite', 'sqlite3', 'mongodb'];

/** The schema of a document as `normalize` leaves it: what is checked, and what defaults are filled in from. */
export function resolvedSchema(registry: Registry): JsonSchema {
  const fixed = closed(plain({ type: 'object', properties: fixedSections }));
  const sections = fixed.properties as Record<string, JsonSchema>;
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Hector configuration',
    type: 'object',
    additionalProperties: false,
    properties: {
      version: sections['version'] as JsonSchema,
      name: sections['name'] as JsonSchema,
      description: sections['description'] as JsonSchema,
      plugins: sections['plugins'] as JsonSchema,
      llms: instances(registry, 'llm', llmCommon, 'The models, by the names that agents use'),
      agents: instances(registry, 'agent', agentCommon, 'The agents, by their names in URLs'),
      tools: instances(registry, 'toolset', toolCommon, 'Tools and servers of tools, by the names that agents use'),
      document_stores: documentStores(registry),
      databases: databases(registry),
      secrets: secretStores(registry),
      ...sections,
      server: withSchemes(sections['server'] as JsonSchema, registry),
      config: configBlock(registry),
    },
    required: [
      'llms',
      'agents',
      'tools',
      'document_stores',
      'databases',
      'secrets',
      ...Object.keys(fixedSections).filter(hasDefault),
    ],
  };
}

const hasDefault = (name: string) => 'default' in fixedSections[name as keyof typeof fixedSections];

/** A section of instances, by name, each of one of the point's extensions. */
function instances(registry: Registry, point: PointName, common: object, description: string): JsonSchema {
  const { selector } = points[point];
  return byName(description, variants(point, selector, extensions(registry, point), common));
}

function byName(description: string, entry: JsonSchema): JsonSchema {
  return {
    type: 'object',
    description,
    default: {},
    propertyNames: { pattern: namePattern },
    additionalProperties: entry,
  };
}

function extensions(registry: Registry, point: PointName): Extension[] {
  return registry.all(point).map(({ extension }) => extension as Extension);
}

function variants(
  point: PointName,
  selector: string,
  provided: readonly Extension[],
  common: object,
  others: readonly JsonSchema[] = [],
): JsonSchema {
  const of = provided.map((extension) => variant(selector, extension, common));
  const all = [...of, ...others];
  return {
    type: 'object',
    required: [selector],
    discriminator: { propertyName: selector },
    [pointKeyword]: point,
    // There is no name that selects nothing, so where nothing is provided no entry is right.
    oneOf: all.length > 0 ? all : [{ properties: { [selector]: { const: ' ' } }, required: [selector] }],
  };
}

function variant(selector: string, extension: Extension, common: object): JsonSchema {
  const shared = plain({ type: 'object', properties: common });
  const options = closed(plain(extension.options));
  const properties: Record<string, JsonSchema> = { ...shared.properties };
  for (const [name, schema] of Object.entries(options.properties ?? {})) {
    const variables = extension.environment?.[name];
    properties[name] = variables ? { ...schema, [environmentKeyword]: variables } : schema;
  }
  return {
    ...options,
    title: extension.name,
    description: extension.description,
    type: 'object',
    properties: { [selector]: { const: extension.name, description: extension.description }, ...properties },
    required: [selector, ...requiredOf(common), ...(options.required ?? [])].filter(
      (name, at, all) => all.indexOf(name) === at,
    ),
    additionalProperties: options.additionalProperties ?? false,
  };
}

/** What TypeBox would put under `required`, were the properties an object of their own. */
function requiredOf(properties: object): string[] {
  return Object.entries(properties).flatMap(([name, schema]) => ('default' in (schema as object) ? [name] : []));
}

function documentStores(registry: Registry): JsonSchema {
  const source = variants('document_store', 'type', extensions(registry, 'document_store'), {});
  return byName('Documents that agents may search, by name', {
    type: 'object',
    additionalProperties: false,
    properties: {
      source: { ...source, description: 'Where the documents come from' },
      ...plain({ type: 'object', properties: documentStoreCommon }).properties,
    },
    required: ['source', ...requiredOf(documentStoreCommon)],
  });
}

function databases(registry: Registry): JsonSchema {
  const provided = extensions(registry, 'storage').filter(({ name }) => name !== 'inmemory');
  const others = comingDrivers
    .filter((driver) => !provided.some(({ name }) => name === driver))
    .map((driver) => {
      const schema = plain(databaseComing());
      return { ...schema, title: driver, properties: { ...schema.properties, driver: { const: driver } } };
    });
  return byName('Databases, by the names that `storage` uses', variants('storage', 'driver', provided, {}, others));
}

function secretStores(registry: Registry): JsonSchema {
  const description = 'Where secrets are kept, by the names that references use: `${name:reference}`';
  const entry = variants('secret', points.secret.selector, extensions(registry, 'secret'), secretCommon);
  return { ...byName(description, entry), propertyNames: { pattern: storeNamePattern } };
}

/** Where the configuration is. The file provider without a `path` means the file that the block is in. */
function configBlock(registry: Registry): JsonSchema {
  const block = variants('config', points.config.selector, extensions(registry, 'config'), configCommon);
  const oneOf = (block.oneOf ?? []).map((each) => {
    const { path, ...others } = each.properties ?? {};
    if (each.title !== defaultConfigProvider || !path) return each;
    const optional = { ...path, description: `${path.description ?? 'The file'}; default: this one` };
    const required = (each.required ?? []).filter((name) => name !== 'path');
    return { ...each, properties: { ...others, path: optional }, required };
  });
  return { ...block, oneOf, description: 'Where the configuration is, if not in this file, and how it is followed' };
}

/** The schema of what is read of a local file before its configuration is fetched. */
export function bootSchema(registry: Registry): JsonSchema {
  const { version, plugins } = closed(plain({ type: 'object', properties: fixedSections })).properties as Record<
    string,
    JsonSchema
  >;
  return {
    type: 'object',
    properties: {
      version: version as JsonSchema,
      plugins: plugins as JsonSchema,
      secrets: secretStores(registry),
      config: configBlock(registry),
    },
    required: ['plugins', 'config'],
  };
}

function withSchemes(server: JsonSchema, registry: Registry): JsonSchema {
  const auth = server.properties?.['auth'] as JsonSchema;
  const schemes: JsonSchema = {
    type: 'array',
    description: 'Ways to prove who calls, asked in this order',
    items: variants('auth', 'type', extensions(registry, 'auth'), {}),
  };
  return {
    ...server,
    properties: { ...server.properties, auth: { ...auth, properties: { ...auth.properties, schemes } } },
  };
}

/** TypeBox keeps notes on its schemas that are not JSON; this is the schema alone. */
function plain(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema)) as JsonSchema;
}

/**
 * Unknown keys are errors at every depth: an object that lists its keys and says nothing of others has no others. Parts of
 * an `allOf` see each other's keys, so they are left as they are.
 */
function closed(schema: JsonSchema): JsonSchema {
  const inner = mapSubschemas(schema, (each, keyword) =>
    ['allOf', 'if', 'then', 'else', 'not'].includes(keyword) ? each : closed(each),
  );
  const silent =
    schema.additionalProperties === undefined && schema.patternProperties === undefined && schema.allOf === undefined;
  return silent && Object.keys(schema.properties ?? {}).length > 0 ? { ...inner, additionalProperties: false } : inner;
}
