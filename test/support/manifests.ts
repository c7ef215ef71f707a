import { readFile } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse, parseAllDocuments } from 'yaml';
import { kubernetesDefinitions, operatorDefinition } from '../services/kubernetes.ts';

/** An object of Kubernetes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has another one, and the schema is what says so.
  readonly [field: string]: any;
}

export function readManifests(yaml: string): readonly Manifest[] {
  return parseAllDocuments(yaml)
    .map((document) => {
      for (const problem of [...document.errors, ...document.warnings]) throw problem;
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

export function manifestOf(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const [found, ...more] = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
  if (!found || more.length > 0) throw new Error(`${more.length + (found ? 1 : 0)} of ${kind} ${name}`);
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON Schema.
type Schema = Record<string, any>;

/** As the API server with `fieldValidation=Strict`: a field that the schema has not is an error. */
function strict(schema: Schema): Schema {
  if (schema['x-kubernetes-int-or-string'] || schema['format'] === 'int-or-string')
    return { type: ['integer', 'string'] };
  const result: Schema = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties')
      result[key] = Object.fromEntries(
        Object.entries(value as Record<string, Schema>).map(([name, each]) => [name, strict(each)]),
      );
    else if (key === 'items' || key === 'additionalProperties') result[key] = value === true ? value : strict(value);
    else if (key === 'allOf' || key === 'anyOf' || key === 'oneOf') result[key] = (value as Schema[]).map(strict);
    // Expressions are Go's, and these JavaScript has not.
    else if (key === 'pattern' && String(value).includes('(?i)')) continue;
    else if (!key.startsWith('x-') && key !== 'format' && key !== 'default') result[key] = value;
  }
  if (result['properties'] && !result['additionalProperties'] && !schema['x-kubernetes-preserve-unknown-fields'])
    result['additionalProperties'] = false;
  return result;
}

/** Checks each object by the schema of its kind: Kubernetes' own, and those of the Prometheus operator. */
export async function manifestValidator(): Promise<(manifests: readonly Manifest[]) => readonly string[]> {
  const ajv = new Ajv({ strict: false, allErrors: true });
  const definitions = await kubernetesDefinitions();
  ajv.addSchema({
    $id: 'kubernetes',
    definitions: Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, strict(schema)])),
  });
  const validators = new Map<string, ValidateFunction>();
  for (const [name, schema] of Object.entries(definitions)) {
    const kinds = (schema['x-kubernetes-group-version-kind'] ?? []) as {
      group: string;
      version: string;
      kind: string;
    }[];
    const [only, ...more] = kinds;
    if (!only || more.length > 0) continue;
    const apiVersion = only.group === '' ? only.version : `${only.group}/${only.version}`;
    validators.set(`${apiVersion} ${only.kind}`, ajv.compile({ $ref: `kubernetes#/definitions/${name}` }));
  }
  for (const plural of ['servicemonitors', 'prometheusrules']) {
    const { spec } = parse(await readFile(operatorDefinition(plural), 'utf8'));
    for (const { name, schema } of spec.versions) {
      const own = strict(schema.openAPIV3Schema);
      const metadata = { $ref: 'kubernetes#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' };
      own['properties'] = { ...own['properties'], metadata };
      validators.set(`${spec.group}/${name} ${spec.names.kind}`, ajv.compile(own));
    }
  }
  return (manifests) =>
    manifests.flatMap((manifest) => {
      const who = `${manifest.kind} ${manifest.metadata?.name}`;
      const validate = validators.get(`${manifest.apiVersion} ${manifest.kind}`);
      if (!validate) return [`${who}: there is no ${manifest.kind} in ${manifest.apiVersion}`];
      if (validate(manifest)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${who}: ${instancePath} ${message} ${JSON.stringify(params)}`,
      );
    });
}
