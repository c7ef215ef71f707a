import { HectorError } from '../errors.ts';
import { points } from '../extension/points.ts';
import { apiVersion, type Plugin } from './definition.ts';

const extensionName = /^[a-z0-9][a-z0-9-]*$/;

/**
 * Whether a module's export is a plugin, by its shape: a plugin may bring its own copy of hector, so `instanceof` says
 * nothing. Throws what is wrong and what to do.
 */
export function checkPlugin(candidate: unknown, specifier: string): Plugin {
  const fail = (problem: string): never => {
    throw new HectorError('plugin_invalid', `The plugin "${specifier}" ${problem}.`);
  };
  if (!isObject(candidate)) {
    return fail(
      `has no default export that is a plugin, but ${kind(candidate)}. Write: export default definePlugin({ … })`,
    );
  }
  const { apiVersion: version, name, provides } = candidate;
  if (version !== apiVersion) {
    if (version === undefined)
      fail(`does not say which plugin API it was written for. Add apiVersion: ${apiVersion} to its default export`);
    fail(
      `was written for version ${JSON.stringify(version)} of the plugin API, and this Hector has version ${apiVersion}. Install a release of it for version ${apiVersion}`,
    );
  }
  if (typeof name !== 'string' || name === '') fail('has no name. Add name: "…", which messages call it by');
  if (!Array.isArray(provides)) return fail(`provides ${kind(provides)}. List its extensions: provides: [ … ]`);

  const seen = new Set<string>();
  for (const [index, extension] of (provides as readonly unknown[]).entries()) {
    const problem = problemOf(extension, index);
    if (problem !== undefined) fail(problem);
    const { point, name: own } = extension as { point: string; name: string };
    if (seen.has(`${point}/${own}`)) fail(`provides the ${nounOf(point)} "${own}" twice. Keep one`);
    seen.add(`${point}/${own}`);
  }
  return candidate as unknown as Plugin;
}

/** What follows "The plugin "x" …". */
function problemOf(extension: unknown, index: number): string | undefined {
  const place = `provides[${index}]`;
  if (!isObject(extension))
    return `has ${kind(extension)} at ${place}. Make it with llmProvider(), toolset() or another of their kind`;
  const { point, name, description, options, environment, create } = extension;
  if (typeof point !== 'string' || !Object.hasOwn(points, point)) {
    return `provides something for ${JSON.stringify(point)}, which is no extension point (${Object.keys(points).join(', ')}), at ${place}`;
  }
  if (typeof name !== 'string' || !extensionName.test(name)) {
    return `names the ${nounOf(point)} at ${place} ${JSON.stringify(name)}. A name has lower-case letters, digits and "-"`;
  }
  const who = `its ${nounOf(point)} "${name}"`;
  if (typeof description !== 'string') return `does not describe ${who}. Add description: "…"`;
  if (!isObject(options) || options['type'] !== 'object') {
    return `has options for ${who} that are no schema of an object. Write options: Type.Object({ … })`;
  }
  if (refersOut(options))
    return `uses $ref in the options of ${who}, which become part of a larger schema. Write the schema out`;
  if (environment !== undefined && !isEnvironment(environment)) {
    return `has an environment for ${who} that is not lists of variables by option. Write environment: { api_key: ["ACME_API_KEY"] }`;
  }
  if (typeof create !== 'function') return `has no create function for ${who}. Add create(options, context) { … }`;
  return undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function kind(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

const nounOf = (point: string) => points[point as keyof typeof points].noun;

function isEnvironment(value: unknown): boolean {
  const isList = (each: unknown) => Array.isArray(each) && each.every((name) => typeof name === 'string');
  return isObject(value) && Object.values(value).every(isList);
}

/** A schema may name a property "$ref"; only the keyword has a text for value. */
function refersOut(schema: unknown, seen = new Set<unknown>()): boolean {
  if (typeof schema !== 'object' || schema === null || seen.has(schema)) return false;
  seen.add(schema);
  if (typeof (schema as { $ref?: unknown }).$ref === 'string') return true;
  return Object.values(schema).some((each) => refersOut(each, seen));
}
