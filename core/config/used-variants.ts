import { instancePlaces } from './instances.ts';
import { type JsonSchema, mapSubschemas } from './json-schema.ts';
import { pointKeyword } from './schema.ts';
import { type ConfigMap, get } from './tree.ts';

/** The extensions that a section uses, `llm/openai`, sorted; the key of the schema that is left of them. */
export function usedVariants(root: ConfigMap, section: string): readonly string[] {
  const used = new Set<string>();
  for (const { point, path, options, selector } of instancePlaces(root))
    if (path[0] === section) used.add(`${point}/${String(get(options, selector))}`);
  return [...used].sort();
}

/**
 * The schema without the variants of extensions that the document does not use. Making a validator costs in proportion to
 * its schema, and most documents use a few extensions of many. Where nothing is known by a name that the document uses,
 * every variant stays, since the error lists them.
 */
export function pruned(schema: JsonSchema, used: readonly string[]): JsonSchema {
  const known = new Set<string>();
  const prune = (each: JsonSchema): JsonSchema => {
    const point = each[pointKeyword];
    const tag = each.discriminator?.propertyName;
    if (point === undefined || tag === undefined) return mapSubschemas(each, prune);
    const kept = (each.oneOf ?? []).filter((variant) => {
      const name = `${String(point)}/${String(variant.properties?.[tag]?.const)}`;
      if (!used.includes(name)) return false;
      known.add(name);
      return true;
    });
    // An entry that is no map names no extension, and is found wrong by its type.
    return kept.length > 0 ? { ...each, oneOf: kept } : { ...each, oneOf: (each.oneOf ?? []).slice(0, 1) };
  };
  const result = prune(schema);
  return known.size === used.length ? result : schema;
}
