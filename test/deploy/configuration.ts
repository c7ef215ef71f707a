import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { deployFile } from '../support/deploy-file.ts';
import { cleanEnvironment } from '../support/hector.ts';
import { type Manifest, manifestOf } from '../support/manifests.ts';

const cli = join(import.meta.dirname, '../../dist/server/cli.js');

/** The variables that the pods get from a Secret as a whole. */
export function variablesOf(manifests: readonly Manifest[]): Readonly<Record<string, string>> {
  const [container] = manifestOf(manifests, 'Deployment', 'hector')['spec'].template.spec.containers;
  const names = container.envFrom.map(({ secretRef }: { secretRef: { name: string } }) => secretRef.name);
  return Object.assign({}, ...names.map((name: string) => manifestOf(manifests, 'Secret', name)['stringData']));
}

/** The configuration in the ConfigMap as Hector understands it, which must be one that it takes. */
export async function configurationOf(manifests: readonly Manifest[], variables = variablesOf(manifests)) {
  const folder = await mkdtemp(join(tmpdir(), 'hector-configmap-'));
  try {
    for (const [name, text] of Object.entries(manifestOf(manifests, 'ConfigMap', 'hector-config')['data']))
      await writeFile(join(folder, name), text as string);
    const args = [cli, 'validate', join(folder, 'config.yaml'), '--print-config'];
    return parse((await promisify(execFile)(process.execPath, args, { env: cleanEnvironment(variables) })).stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** That of the overlay `postgres` for a test: with the model of test/support/counting-plugin.mjs, and a database here. */
export async function sharedConfiguration(port: number): Promise<string> {
  const document = parse(await readFile(deployFile('kubernetes/overlays/postgres/config.yaml'), 'utf8'));
  document.plugins = ['./counting-plugin.mjs'];
  document.llms.default = { provider: 'counting' };
  Object.assign(document.databases.main, { host: '127.0.0.1', port });
  document.server.admin.port = 0;
  document.server.shutdown.delay = '0s';
  return stringify(document);
}
