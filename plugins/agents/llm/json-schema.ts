import { Ajv, type ErrorObject } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What is wrong with a value, in words a model can act on; `undefined`: nothing. */
export type SchemaCheck = (value: unknown) => string | undefined;

const maxProblems = 10;
const checks = new WeakMap<JsonSchema, SchemaCheck>();

/**
 * Compiles a schema, once for each schema object, as draft 2020-12, or draft-07 where it says so. Throws if it is none.
 * A validator of its own for each, since schemas of different tools may use one `$id`.
 */
export function schemaCheck(schema: JsonSchema): SchemaCheck {
  const known = checks.get(schema);
  if (known) return known;
  const check = compile(schema);
  checks.set(schema, check);
  return check;
}

function compile({ $schema, ...schema }: JsonSchema): SchemaCheck {
  const Validator = typeof $schema === 'string' && /draft-0[4-7]/.test($schema) ? Ajv : Ajv2020;
  const ajv = new Validator({
    allErrors: true,
    strict: false,
    meta: false,
    validateSchema: false,
    validateFormats: false,
    logger: false,
  });
  const validate = ajv.compile(schema);
  return (value) => (validate(value) ? undefined : problems(validate.errors ?? []));
}

function problems(errors: readonly ErrorObject[]): string {
  const shown = errors.slice(0, maxProblems).map(problem);
  if (errors.length > maxProblems) shown.push(`and ${errors.length - maxProblems} more`);
  return shown.join('; ');
}

function problem({ instancePath, message = 'is not valid', params }: ErrorObject): string {
  const extra = params['additionalProperty'] ?? params['unevaluatedProperty'];
  const allowed = params['allowedValues'];
  const detail = extra === undefined ? '' : ` (${JSON.stringify(extra)})`;
  const values = Array.isArray(allowed) ? `: ${allowed.map((value) => JSON.stringify(value)).join(', ')}` : '';
  return `${instancePath === '' ? 'the value' : instancePath} ${message}${detail}${values}`;
}
