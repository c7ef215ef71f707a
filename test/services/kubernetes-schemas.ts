import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram, mayInstall } from './service.ts';

const modules = {
  kubernetes: 'k8s.io/kubernetes@v1.32.4',
  operator: 'github.com/prometheus-operator/prometheus-operator@v0.83.0',
} as const;

const go = await findProgram('go', '/usr/local/go/bin/go');
/** Go's own module cache keeps them; what is in it is taken without asking anybody. */
async function download(module: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await promisify(execFile)(go as string, ['mod', 'download', '-json', module], { env });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}
const folders = await (go
  ? Promise.all(
      Object.values(modules).map((module) =>
        download(module, { ...process.env, ...(mayInstall ? {} : { GOPROXY: 'off' }) }),
      ),
    ).catch((error: unknown) => {
      if (mayInstall) throw error;
      return undefined;
    })
  : undefined);

/** What is missing, for `skip`; `false` where they are there. */
export const schemasMissing = folders
  ? false
  : go
    ? 'the schemas of Kubernetes are not here: set HECTOR_TEST_INSTALL'
    : 'the schemas of Kubernetes come by Go, which is not installed';

type Schema = Record<string, unknown>;
interface Swagger {
  readonly definitions: Readonly<Record<string, Schema>>;
}

/** Kubernetes' own OpenAPI document. */
export async function kubernetesDefinitions(): Promise<Swagger['definitions']> {
  const path = join(folders?.[0] as string, 'api/openapi-spec/swagger.json');
  return (JSON.parse(await readFile(path, 'utf8')) as Swagger).definitions;
}

/** The CustomResourceDefinition of a kind of the Prometheus operator, as YAML. */
export const operatorDefinition = (plural: string) =>
  readFile(
    join(folders?.[1] as string, 'example/prometheus-operator-crd', `monitoring.coreos.com_${plural}.yaml`),
    'utf8',
  );
