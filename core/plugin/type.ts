import type { Type as TypeBox } from 'typebox';

/**
 * Builders of JSON Schema with TypeBox's static types, and TypeBox's marks, so that the two can be mixed.
 *
 * They are here because importing TypeBox itself costs 200 ms and 18 MB at every start (docs/adr/0006). A plugin that needs
 * more than these installs `typebox` and uses it instead: `options` may be any JSON Schema.
 */
type Builders = Pick<
  typeof TypeBox,
  | 'Any'
  | 'Array'
  | 'Boolean'
  | 'Enum'
  | 'Integer'
  | 'Literal'
  | 'Null'
  | 'Number'
  | 'Object'
  | 'Optional'
  | 'Record'
  | 'String'
  | 'Union'
  | 'Unknown'
  | 'Unsafe'
>;

type Schema = Readonly<Record<string, unknown>>;

/** TypeBox keeps its marks out of sight of JSON and of spreads. */
function marked(schema: Schema, marks: Schema): Schema {
  const result = { ...schema };
  for (const [name, value] of Object.entries(marks)) {
    Object.defineProperty(result, name, { value, enumerable: false, writable: true, configurable: true });
  }
  return result;
}

const isOptional = (schema: Schema): boolean => '~optional' in schema;

const of = (kind: string, schema: Schema, options: Schema = {}): Schema =>
  marked({ ...schema, ...options }, { '~kind': kind });

const builders = {
  Any: (options?: Schema) => of('Any', {}, options),
  /** Any schema, with a static type of the caller's choice. */
  Unsafe: (schema: Schema) => marked(schema, { '~unsafe': null }),
  Unknown: (options?: Schema) => of('Unknown', {}, options),
  Null: (options?: Schema) => of('Null', { type: 'null' }, options),
  Boolean: (options?: Schema) => of('Boolean', { type: 'boolean' }, options),
  Integer: (options?: Schema) => of('Integer', { type: 'integer' }, options),
  Number: (options?: Schema) => of('Number', { type: 'number' }, options),
  String: (options?: Schema) => of('String', { type: 'string' }, options),
  Literal: (value: string | number | boolean, options?: Schema) =>
    of('Literal', { type: typeof value, const: value }, options),
  Enum: (values: readonly (string | number)[], options?: Schema) => of('Enum', { enum: values }, options),
  Union: (anyOf: readonly Schema[], options?: Schema) => of('Union', { anyOf }, options),
  Array: (items: Schema, options?: Schema) => of('Array', { type: 'array', items }, options),
  Record: (_key: Schema, value: Schema, options?: Schema) =>
    of('Record', { type: 'object', patternProperties: { '^.*$': value } }, options),
  Object: (properties: Readonly<Record<string, Schema>>, options?: Schema) => {
    const required = Object.keys(properties).filter((name) => !isOptional(properties[name] as Schema));
    return of('Object', { type: 'object', ...(required.length > 0 && { required }), properties }, options);
  },
  Optional: (schema: Schema) =>
    marked(schema, { '~kind': (schema as { '~kind'?: unknown })['~kind'], '~optional': true }),
};

/** `Type.Object({ name: Type.String() })`: see https://github.com/sinclairzx81/typebox. */
export const Type = builders as unknown as Builders;
