import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { go, goModule, goProgram } from './go-program.ts';

const version = '1.32.4';
/** Kubernetes' own source: its OpenAPI document is in it. */
const source = await goModule(`k8s.io/kubernetes@v${version}`);
const operator = await goModule('github.com/prometheus-operator/prometheus-operator@v0.83.0');

/** What is missing, for `skip`; `false` where they are there. */
export const schemasMissing =
  source && operator
    ? false
    : go
      ? 'the schemas of Kubernetes are not here: set HECTOR_TEST_INSTALL'
      : 'the schemas of Kubernetes come by Go, which is not installed';

/** The definitions of Kubernetes' OpenAPI document. */
export async function kubernetesDefinitions(): Promise<Readonly<Record<string, Readonly<Record<string, unknown>>>>> {
  return JSON.parse(await readFile(join(source as string, 'api/openapi-spec/swagger.json'), 'utf8')).definitions;
}

/** The file with the CustomResourceDefinition of a kind of the Prometheus operator. */
export const operatorDefinition = (plural: string) =>
  join(operator as string, 'example/prometheus-operator-crd', `monitoring.coreos.com_${plural}.yaml`);

/** One of Kubernetes' own programs. Its modules are beside each other in its source, and each released by itself as well. */
export const kubernetesProgram = (name: string, elsewhere: readonly string[]) =>
  goProgram({
    name,
    version,
    module: 'k8s.io/kubernetes',
    main: `k8s.io/kubernetes/cmd/${name}`,
    elsewhere,
    flags: `-X k8s.io/component-base/version.gitVersion=v${version}`,
    goMod: async () => {
      const goMod = await readFile(join(source as string, 'go.mod'), 'utf8');
      const names = [...goMod.matchAll(/^\s*(\S+) => \.\/staging\//gm)].map(([, name]) => name);
      const released = `v0.${version.split('.').slice(1).join('.')}`;
      return ['module scratch', ...names.map((each) => `replace ${each} => ${each} ${released}`)];
    },
  });
