import { errorMessage, type Tool, type ToolContext } from '../../core/index.ts';
import { unusable } from './local-module.ts';

interface ModuleOf {
  /** Whom an error names: `tools.calculator`. */
  readonly owner: string;
  /** What a default export without a name is called. */
  readonly entry: string;
  readonly module: string;
  readonly only: string | undefined;
}

type Shape = Readonly<Record<string, unknown>>;

interface Found {
  readonly value: unknown;
  /** Where in the module, for errors. */
  readonly place: string;
  readonly name: string | undefined;
}

/**
 * The tools of a module: its default export, a tool or an array of them, and the named exports that look like tools.
 * Other exports are the module's own business. An object that holds tools is what CommonJS makes a default export of.
 */
export function exportedTools(exports: Shape, of: ModuleOf): readonly Tool[] {
  const found = of.only === undefined ? findAll(exports, of.entry) : [findOne(exports, of.only, of)];
  if (found.length === 0) {
    throw unusable(
      of.owner,
      `${of.module} exports no tools. Export objects with description, parameters and execute, by name or as an array by default`,
    );
  }
  const tools = new Map<string, Tool>();
  for (const one of found.flatMap(spread)) {
    const tool = checked(one, of);
    if (tools.has(tool.name)) throw unusable(of.owner, `two tools of ${of.module} are named "${tool.name}"`);
    tools.set(tool.name, tool);
  }
  return Object.freeze([...tools.values()]);
}

function findOne(exports: Shape, name: string, of: ModuleOf): Found {
  const byDefault = exports['default'];
  const value = exports[name] ?? (isObject(byDefault) && name !== 'default' ? byDefault[name] : undefined);
  if (value === undefined) {
    const names = Object.keys(exports).join(', ') || 'nothing';
    throw unusable(of.owner, `${of.module} has no export "${name}" (it exports ${names})`);
  }
  return { value, place: `the export "${name}"`, name: name === 'default' ? of.entry : name };
}

function findAll(exports: Shape, entry: string): Found[] {
  const { default: byDefault, ...named } = exports;
  const found: Found[] = [];
  const add = (value: unknown, place: string, name: string) => {
    if (!found.some((other) => other.value === value)) found.push({ value, place, name });
  };
  if (looksLikeTool(byDefault) || Array.isArray(byDefault)) add(byDefault, 'the default export', entry);
  const members = isObject(byDefault) && !looksLikeTool(byDefault) && !Array.isArray(byDefault) ? byDefault : {};
  for (const [name, value] of Object.entries({ ...members, ...named })) {
    if (looksLikeTool(value)) add(value, `the export "${name}"`, name);
  }
  return found;
}

function spread(found: Found): Found[] {
  if (!Array.isArray(found.value)) return [found];
  return found.value.map((value: unknown, index) => ({
    value,
    place: `entry ${index} of ${found.place}`,
    name: undefined,
  }));
}

function checked({ value, place, name: fallback }: Found, of: ModuleOf): Tool {
  const refuse = (sentence: string, cause?: unknown) =>
    unusable(of.owner, `${place} of ${of.module} ${sentence}`, cause);
  if (!isObject(value)) throw refuse('is not a tool, which is an object with description, parameters and execute');

  const { execute } = value;
  const name = value['name'] ?? fallback;
  if (typeof execute !== 'function') throw refuse('has no function "execute"');
  if (name === undefined) throw refuse('has no name');
  if (typeof name !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(name)) {
    throw refuse(`is named ${JSON.stringify(name)}. A tool's name is 1 to 64 letters, digits, "_" or "-"`);
  }
  const { description, idempotent = false } = value;
  if (typeof description !== 'string' || description.trim() === '') {
    throw refuse('has no description, which is what a model chooses it by');
  }
  if (typeof idempotent !== 'boolean') throw refuse('has an "idempotent" that is neither true nor false');
  return Object.freeze({
    name,
    description,
    parameters: objectSchema(value['parameters'], refuse),
    ...(idempotent && { idempotent }),
    execute: (args: Record<string, unknown>, context: ToolContext) => execute.call(value, args, context),
  });
}

/** As JSON, which drops what a schema library attaches to its schemas for itself. */
function objectSchema(parameters: unknown, refuse: (sentence: string, cause?: unknown) => Error): Shape {
  if (parameters === undefined) return { type: 'object', properties: {}, additionalProperties: false };
  let schema: unknown;
  try {
    schema = JSON.parse(JSON.stringify(parameters) ?? 'null');
  } catch (error) {
    throw refuse(`has parameters that are not JSON: ${errorMessage(error)}`, error);
  }
  if (!isObject(schema) || schema['type'] !== 'object') {
    throw refuse('has parameters that are not an object schema, which is JSON Schema with type: "object"');
  }
  return schema;
}

function looksLikeTool(value: unknown): boolean {
  return isObject(value) && ('execute' in value || ('description' in value && 'parameters' in value));
}

function isObject(value: unknown): value is Shape {
  return typeof value === 'object' && value !== null;
}
