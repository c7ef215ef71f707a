import { type JsonSchema, ofType } from './json-schema.ts';
import { type ConfigMap, type ConfigValue, type Container, get, isMap } from './tree.ts';

/**
 * The schemas that a value answers to: the schema itself, the parts of its `allOf`, and the branch of an `anyOf` or `oneOf`
 * that is meant, as far as that can be told from the selector or from the kind of value.
 */
function applicable(schema: JsonSchema, value: ConfigValue): readonly JsonSchema[] {
  if (!schema.allOf && !schema.anyOf && !schema.oneOf) return [schema];
  const schemas = [schema];
  for (const part of schema.allOf ?? []) schemas.push(...applicable(part, value));
  const branch = meantBranch(schema, value);
  if (branch) schemas.push(...applicable(branch, value));
  return schemas;
}

export function meantBranch(schema: JsonSchema, value: ConfigValue): JsonSchema | undefined {
  const branches = schema.oneOf ?? schema.anyOf ?? [];
  const tag = schema.discriminator?.propertyName;
  if (tag !== undefined) return branches.find((branch) => branch.properties?.[tag]?.const === get(value, tag));
  const fitting = branches.filter((branch) => ofType(branch, value) && constantsAgree(branch, value));
  if (fitting.length < 2 || !isMap(value)) return fitting.length === 1 ? fitting[0] : undefined;
  const known = fitting.map((branch) => keysKnown(branch, value));
  const most = Math.max(...known);
  return known.indexOf(most) === known.lastIndexOf(most) ? fitting[known.indexOf(most)] : undefined;
}

const keysKnown = ({ properties = {} }: JsonSchema, value: ConfigMap): number =>
  Object.keys(value).filter((key) => Object.hasOwn(properties, key)).length;

function constantsAgree(branch: JsonSchema, value: ConfigValue): boolean {
  if (!isMap(value)) return true;
  return Object.entries(branch.properties ?? {}).every(
    ([key, { const: wanted }]) => wanted === undefined || get(value, key) === wanted,
  );
}

/** The schema of what is under a key. */
function childSchema(schema: JsonSchema, key: string | number): JsonSchema | undefined {
  if (typeof key === 'number') {
    const { items } = schema;
    return Array.isArray(items) ? (items as readonly JsonSchema[])[key] : (items as JsonSchema | undefined);
  }
  const { properties, patternProperties, additionalProperties } = schema;
  if (properties && Object.hasOwn(properties, key)) return properties[key];
  for (const [pattern, each] of Object.entries(patternProperties ?? {}))
    if (new RegExp(pattern, 'u').test(key)) return each;
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

export interface Place {
  readonly path: readonly (string | number)[];
  readonly container: Container;
  readonly key: string | number;
}

/**
 * Calls `visit` with every value and each schema that it answers to, parents first. `path` is one list that is reused: copy
 * it to keep it.
 */
export function descend(
  schema: JsonSchema,
  container: Container,
  visit: (schema: JsonSchema, value: ConfigValue, place: Place) => void,
  path: (string | number)[] = [],
): void {
  const schemas = applicable(schema, container);
  const keys = Array.isArray(container) ? container.keys() : Object.keys(container);
  for (const key of keys) {
    const value = get(container, key) as ConfigValue;
    path.push(key);
    for (const each of schemas) {
      const child = childSchema(each, key);
      if (!child) continue;
      for (const own of applicable(child, value)) visit(own, value, { path, container, key });
      if (typeof value === 'object' && value !== null) descend(child, value, visit, path);
    }
    path.pop();
  }
}

/** Fills in what is absent, at every depth. */
export function fillDefaults(schema: JsonSchema, value: ConfigValue): void {
  if (typeof value !== 'object' || value === null) return;
  for (const each of applicable(schema, value)) {
    if (isMap(value)) {
      for (const [key, property] of Object.entries(each.properties ?? {})) {
        const preset = property.default as ConfigValue | undefined;
        if (preset !== undefined && !Object.hasOwn(value, key))
          value[key] = typeof preset === 'object' ? structuredClone(preset) : preset;
      }
    }
    for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
      const child = childSchema(each, key);
      if (child) fillDefaults(child, get(value, key) as ConfigValue);
    }
  }
}
