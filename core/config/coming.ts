import type { Findings } from './findings.ts';
import type { JsonSchema } from './json-schema.ts';
import { comingKeyword } from './language/common.ts';

/** The warning about a value that is accepted and not acted on, where its schema says so. */
export function warnComing(schema: JsonSchema, path: readonly (string | number)[], findings: Findings): void {
  const what = schema[comingKeyword];
  if (what !== undefined) findings.warn([...path], 'coming', `is accepted but not acted on by this version: ${what}`);
}

export interface ComingPath {
  /** `agents.*.trigger`; `*` is a name, `[]` the items of a list. */
  readonly path: string;
  readonly what: string;
}

/** Every key that a schema accepts without acting on it. */
export function comingPaths(schema: JsonSchema): ComingPath[] {
  const found = new Map<string, string>();
  const visit = (each: JsonSchema, path: string): void => {
    const what = each[comingKeyword];
    if (typeof what === 'string') {
      const driver = each.properties?.['driver']?.const;
      found.set(driver === undefined ? path : `${path} (driver: ${String(driver)})`, what);
      return;
    }
    for (const [key, child] of Object.entries(each.properties ?? {}))
      visit(child, path === '' ? key : `${path}.${key}`);
    if (typeof each.additionalProperties === 'object') visit(each.additionalProperties, `${path}.*`);
    for (const child of Object.values(each.patternProperties ?? {})) visit(child, `${path}.*`);
    if (each.items) for (const item of [each.items].flat() as JsonSchema[]) visit(item, `${path}[]`);
    for (const branch of [...(each.anyOf ?? []), ...(each.oneOf ?? []), ...(each.allOf ?? [])]) visit(branch, path);
    if (each.then) visit(each.then, path);
  };
  visit(schema, '');
  return [...found].map(([path, what]) => ({ path, what }));
}
