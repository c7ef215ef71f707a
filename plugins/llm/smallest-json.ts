type Schema = Readonly<Record<string, unknown>>;

const deepest = 32;

/** The smallest value that a JSON Schema allows, as far as it says so by type, const, enum, bounds, required and $ref. */
export function smallestJson(root: Schema): unknown {
  return smallest(root, root, deepest);
}

function smallest(schema: Schema, root: Schema, depth: number): unknown {
  if (depth === 0) return null;
  const inner = (value: unknown) => smallest((value ?? {}) as Schema, root, depth - 1);
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  if (typeof schema['$ref'] === 'string') return inner(resolve(schema['$ref'], root));
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    const variants = schema[key];
    if (Array.isArray(variants))
      return inner(key === 'allOf' ? Object.assign({}, schema, { allOf: undefined }, ...variants) : variants[0]);
  }
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'string':
      return 'x'.repeat(Number(schema['minLength'] ?? 0));
    case 'number':
    case 'integer':
      return smallestNumber(schema);
    case 'boolean':
      return false;
    case 'null':
      return null;
    case 'array':
      return Array.from({ length: Number(schema['minItems'] ?? 0) }, () => inner(schema['items']));
    default: {
      const properties = (schema['properties'] ?? {}) as Record<string, unknown>;
      const required = Array.isArray(schema['required']) ? (schema['required'] as string[]) : [];
      return Object.fromEntries(required.map((key) => [key, inner(properties[key])]));
    }
  }
}

function smallestNumber(schema: Schema): number {
  if (typeof schema['minimum'] === 'number') return schema['minimum'];
  if (typeof schema['exclusiveMinimum'] === 'number') return schema['exclusiveMinimum'] + 1;
  return typeof schema['maximum'] === 'number' && schema['maximum'] < 0 ? schema['maximum'] : 0;
}

/** Only references within the schema: `#/$defs/name`. */
function resolve(reference: string, root: Schema): unknown {
  if (!reference.startsWith('#')) return {};
  let found: unknown = root;
  for (const step of reference.split('/').slice(1)) {
    found = (found as Schema | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return found;
}
