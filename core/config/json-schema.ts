/** What is used of JSON Schema, draft-07. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly propertyNames?: JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly if?: JsonSchema;
  readonly then?: JsonSchema;
  readonly else?: JsonSchema;
  readonly not?: JsonSchema;
  readonly discriminator?: { readonly propertyName: string };
  readonly writeOnly?: boolean;
  readonly [keyword: string]: unknown;
}

/** Whether a value is of one of the schema's types; a schema without types takes them all. */
export function ofType(schema: JsonSchema, value: unknown): boolean {
  const types = typesOf(schema);
  if (types.length === 0) {
    const allowed = schema.enum ?? ('const' in schema ? [schema.const] : undefined);
    return allowed === undefined || allowed.some((each) => typeof each === typeof value);
  }
  return types.some((type) => type === jsonType(value) || (type === 'integer' && Number.isInteger(value)));
}

export function typesOf(schema: JsonSchema): readonly string[] {
  return schema.type === undefined ? [] : typeof schema.type === 'string' ? [schema.type] : schema.type;
}

export function jsonType(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

/** Applies `change` to each schema directly inside of this one. */
export function mapSubschemas(
  schema: JsonSchema,
  change: (schema: JsonSchema, keyword: string) => JsonSchema,
): JsonSchema {
  const result: Record<string, unknown> = { ...schema };
  for (const keyword of ['properties', 'patternProperties']) {
    const map = schema[keyword] as Readonly<Record<string, JsonSchema>> | undefined;
    if (map)
      result[keyword] = Object.fromEntries(Object.entries(map).map(([key, each]) => [key, change(each, keyword)]));
  }
  for (const keyword of ['additionalProperties', 'items', 'propertyNames', 'if', 'then', 'else', 'not', 'contains']) {
    const each = schema[keyword];
    if (Array.isArray(each)) result[keyword] = each.map((item: JsonSchema) => change(item, keyword));
    else if (typeof each === 'object' && each !== null) result[keyword] = change(each as JsonSchema, keyword);
  }
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
    const list = schema[keyword] as readonly JsonSchema[] | undefined;
    if (list) result[keyword] = list.map((each) => change(each, keyword));
  }
  return result;
}
