import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { errorMessage, HectorError } from '../errors.ts';
import type { Pace } from '../pace.ts';
import type { Registry } from '../plugin/registry.ts';
import { coerce } from './coerce.ts';
import { fillDefaults } from './descend.ts';
import { explain } from './explain.ts';
import type { Findings } from './findings.ts';
import { type JsonSchema, mapSubschemas } from './json-schema.ts';
import { bootSchema, resolvedSchema } from './schema.ts';
import type { ConfigTree } from './tree.ts';
import { pruned, usedVariants } from './used-variants.ts';

/** What is checked of a tree. */
export interface CompiledSchema {
  readonly schema: JsonSchema;
  /** Checks one section, in which these extensions are used; without a section, which of them there are. */
  checkFor(section: string | undefined, used: readonly string[]): ValidateFunction;
}

/** A configuration is checked in two parts: each agent alone, and everything else. */
export interface CompiledLanguage {
  readonly rest: CompiledSchema;
  readonly agents: CompiledSchema;
}

const compiled = new WeakMap<Registry, CompiledLanguage>();
/** Validators kept for one part: reloads mostly use the extensions that were used before. */
const maxKept = 64;

/** The schema of everything that the registry knows. Validators are made when a document needs them, and kept. */
export function compiledLanguage(registry: Registry): CompiledLanguage {
  let result = compiled.get(registry);
  if (!result) {
    checkOptions(registry);
    const schema = resolvedSchema(registry);
    const agents = schema.properties?.['agents'] as JsonSchema;
    const { description, default: none } = agents;
    const nobody: JsonSchema = { type: 'object', description: description as string, default: none };
    result = {
      rest: compiledSchema({ ...schema, properties: { ...schema.properties, agents: nobody } }),
      agents: compiledSchema({ type: 'object', properties: { agents } }),
    };
    compiled.set(registry, result);
  }
  return result;
}

function compiledSchema(schema: JsonSchema): CompiledSchema {
  const checks = new Map<string, ValidateFunction>();
  const checkFor = (section: string | undefined, used: readonly string[]) => {
    const key = [section, ...used].join();
    const check = checks.get(key) ?? compile(pruned(partOf(schema, section), used));
    checks.delete(key);
    checks.set(key, check);
    const [oldest] = checks.keys();
    if (checks.size > maxKept && oldest !== undefined) checks.delete(oldest);
    return check;
  };
  return { schema, checkFor };
}

/** Making a validator takes a while, so that of one section is made at a time. */
function partOf(schema: JsonSchema, section: string | undefined): JsonSchema {
  const { properties = {}, ...all } = schema;
  if (section !== undefined) return { type: 'object', properties: { [section]: properties[section] as JsonSchema } };
  return { ...all, properties: Object.fromEntries(Object.keys(properties).map((key) => [key, {}])) };
}

/** The language of what is read of a local file before its configuration is fetched. */
export function bootLanguage(registry: Registry): CompiledSchema {
  checkOptions(registry);
  return compiledSchema(bootSchema(registry));
}

/** Fills in defaults, makes texts the numbers they spell, and reports whatever the schema does not allow. */
export function validate(tree: ConfigTree, language: CompiledSchema, findings: Findings): void {
  fillDefaults(language.schema, tree.root);
  for (const check of checksOf(tree, language)) validateWith(check, tree, language, findings);
}

/** The same, with a pause before each validator that is made. */
export async function validateInTurns(
  tree: ConfigTree,
  language: CompiledSchema,
  { findings, pace }: { readonly findings: Findings; readonly pace: Pace },
): Promise<void> {
  fillDefaults(language.schema, tree.root);
  for (const check of checksOf(tree, language)) {
    await pace.rest();
    validateWith(check, tree, language, findings);
    await pace.rest();
  }
}

/** That of the whole comes last: what it finds missing, its section would have filled in. */
function* checksOf({ root }: ConfigTree, { schema, checkFor }: CompiledSchema): Generator<ValidateFunction> {
  for (const section of Object.keys(schema.properties ?? {}))
    if (Object.hasOwn(root, section)) yield checkFor(section, usedVariants(root, section));
  if (schema.additionalProperties === false || schema.required) yield checkFor(undefined, []);
}

function validateWith(check: ValidateFunction, tree: ConfigTree, { schema }: CompiledSchema, findings: Findings): void {
  let valid = check(tree.root);
  // A list made of a text may hold texts that are numbers: a second round. There is no third kind of nesting.
  for (let round = 0; round < 3 && !valid && coerce(tree, check.errors ?? []); round++) {
    fillDefaults(schema, tree.root);
    valid = check(tree.root);
  }
  if (!valid) explain(tree, check.errors as ErrorObject[], findings);
}

/** Our own schema is right by our tests; those of plugins are checked by `checkOptions`. */
function compile(schema: JsonSchema): ValidateFunction {
  return ajvFor(schema, { validateSchema: false, code: { optimize: false } }).compile(schema);
}

function ajvFor(schema: JsonSchema, options: Options = {}): Ajv {
  const ajv = new Ajv({
    ...options,
    allErrors: true,
    discriminator: true,
    verbose: true,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    strictTuples: false,
    ownProperties: true,
    // A format that is not known here is a note to the reader.
    formats: {
      ...Object.fromEntries([...formatsIn(schema)].map((name) => [name, true as const])),
      uri: isUrl,
      url: isUrl,
      regex: isRegex,
    },
  });
  for (const keyword of notesIn(schema)) ajv.addKeyword(keyword);
  return ajv;
}

const isUrl = (text: string) => URL.canParse(text);

function isRegex(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch {
    return false;
  }
}

function formatsIn(schema: JsonSchema): Set<string> {
  const formats = new Set<string>();
  everySchema(schema, ({ format }) => typeof format === 'string' && formats.add(format));
  return formats;
}

/** Keywords that say something to Hector or to people, not to the validator. */
function notesIn(schema: JsonSchema): Set<string> {
  const notes = new Set<string>();
  everySchema(schema, (each) => {
    for (const keyword of Object.keys(each)) if (keyword.startsWith('x-')) notes.add(keyword);
  });
  return notes;
}

function everySchema(schema: JsonSchema, visit: (schema: JsonSchema) => void): void {
  visit(schema);
  mapSubschemas(schema, (each) => {
    everySchema(each, visit);
    return each;
  });
}

/** Says whose options are not a JSON Schema. Those in the box are known to be. */
function checkOptions(registry: Registry): void {
  for (const plugin of registry.plugins) {
    if (plugin.name.startsWith('hector/')) continue;
    for (const { name, options } of plugin.provides) {
      const schema = JSON.parse(JSON.stringify(options)) as JsonSchema;
      try {
        ajvFor(schema).compile(schema);
      } catch (error) {
        const message = `The options of "${name}" in the plugin "${plugin.name}" are not a JSON Schema that can be used: ${errorMessage(error)}.`;
        throw new HectorError('plugin_invalid', message, { cause: error });
      }
    }
  }
}
