import type { ErrorObject } from 'ajv';
import { meantBranch } from './descend.ts';
import type { Findings } from './findings.ts';
import type { ConfigPath } from './issue.ts';
import type { JsonSchema } from './json-schema.ts';
import { pathOf } from './pointer.ts';
import { sentence } from './sentence.ts';
import type { ConfigTree, ConfigValue } from './tree.ts';

/** Reports the validator's errors, one for each mistake, in sentences. */
export function explain(tree: ConfigTree, errors: readonly ErrorObject[], findings: Findings): void {
  for (const error of withoutNoise(errors)) {
    const path = placeOf(error, tree);
    findings.errorLater(path, 'schema', () => sentence(error, path, tree));
  }
}

/** The path of what is wrong: the key that should not be there, or should. */
function placeOf(error: ErrorObject, tree: ConfigTree): ConfigPath {
  const path = pathOf(error.instancePath, tree.root);
  const key = error.propertyName ?? error.params['additionalProperty'] ?? error.params['missingProperty'];
  if (typeof key === 'string') return [...path, key];
  return error.keyword === 'discriminator' ? [...path, String(error.params['tag'])] : path;
}

/**
 * A value that fits none of several branches fails in each. Where it is clear which one is meant, only that one has a say;
 * where it is not, only the choice itself.
 */
function withoutNoise(errors: readonly ErrorObject[]): ErrorObject[] {
  const meant = new Map<string, number>();
  for (const { keyword, schemaPath, instancePath, parentSchema, data } of errors) {
    if (keyword !== 'anyOf' && keyword !== 'oneOf') continue;
    const branches = (parentSchema as JsonSchema)[keyword] as readonly JsonSchema[];
    const branch = meantBranch({ [keyword]: branches }, data as ConfigValue);
    meant.set(`${schemaPath} ${instancePath}`, branch ? branches.indexOf(branch) : -1);
  }
  return errors.filter(({ keyword, schemaPath, instancePath, parentSchema, params }) => {
    // Each of these follows from another error.
    if (keyword === 'propertyNames' || keyword === 'if') return false;
    if (
      keyword === 'required' &&
      params['missingProperty'] === (parentSchema as JsonSchema).discriminator?.propertyName
    )
      return false;
    const own = meant.get(`${schemaPath} ${instancePath}`);
    return (own === undefined || own === -1) && !isOverruled(schemaPath, instancePath, meant);
  });
}

function isOverruled(schemaPath: string, instancePath: string, meant: ReadonlyMap<string, number>): boolean {
  for (const match of schemaPath.matchAll(/\/(?:anyOf|oneOf)(?=\/([0-9]+)\/)/g)) {
    const choice = schemaPath.slice(0, match.index + match[0].length);
    for (
      let end = instancePath.length;
      end >= 0;
      end = end === 0 ? -1 : Math.max(instancePath.lastIndexOf('/', end - 1), 0)
    ) {
      const branch = meant.get(`${choice} ${instancePath.slice(0, end)}`);
      if (branch !== undefined && branch !== Number(match[1])) return true;
    }
  }
  return false;
}
