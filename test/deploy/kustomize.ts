import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parse } from 'yaml';
import { kubectl } from '../services/kubectl.ts';
import { deployFile } from '../support/deploy-file.ts';
import { type Manifest, readManifests } from '../support/manifests.ts';

const folder = deployFile('kubernetes');
export const overlays = readdirSync(join(folder, 'overlays')).sort();

/** What `kubectl apply -k` is given: of an overlay, or of `restore`. */
export const kustomized = async (path: string): Promise<readonly Manifest[]> =>
  readManifests(await kubectl('kustomize', join(folder, path)));

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly path?: string }[];
  readonly configMapGenerator?: readonly { readonly files: readonly string[] }[];
}

/** The files that a kustomization is made of, by way of all that it names. */
export function filesOf(path: string): readonly string[] {
  const own = join(path, 'kustomization.yaml');
  const {
    resources = [],
    components = [],
    patches = [],
    configMapGenerator = [],
  } = parse(readFileSync(join(folder, own), 'utf8')) as Kustomization;
  const named = [...resources, ...components, ...patches.flatMap((patch) => patch.path ?? [])];
  return [
    own,
    ...named.flatMap((each) => (each.endsWith('.yaml') ? join(path, each) : filesOf(join(path, each)))),
    ...configMapGenerator.flatMap(({ files }) => files.map((file) => join(path, file))),
  ];
}

/** All files of deploy/kubernetes. */
export const shipped = (): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
