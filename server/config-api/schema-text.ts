import { createHash } from 'node:crypto';
import { composedSchema } from '../../core/config/published-schema.ts';
import type { Registry } from '../../core/plugin/registry.ts';

interface SchemaText {
  readonly text: string;
  readonly etag: string;
}

const known = new WeakMap<Registry, SchemaText>();

/** The schema of what may be written with these extensions. Made once for each set of them. */
export function schemaText(registry: Registry): SchemaText {
  let schema = known.get(registry);
  if (!schema) {
    const text = JSON.stringify(composedSchema(registry));
    schema = { text, etag: `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"` };
    known.set(registry, schema);
  }
  return schema;
}
