import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { go, goProgram } from './go-program.ts';

/** HELM names one of one's own. */
const found = await goProgram({
  name: 'helm',
  version: '3.22.0',
  module: 'helm.sh/helm/v3',
  main: 'helm.sh/helm/v3/cmd/helm',
  elsewhere: [process.env['HELM'] ?? 'helm'],
  // As its releases: which Kubernetes it takes charts to be for where it is told of no cluster.
  flags: ['pkg/chartutil', 'pkg/lint/rules']
    .flatMap((of) => [`-X helm.sh/helm/v3/${of}.k8sVersionMajor=1`, `-X helm.sh/helm/v3/${of}.k8sVersionMinor=32`])
    .join(' '),
});

/** What is missing, for `skip`; `false` where it is there. */
export const helmMissing = found
  ? false
  : go
    ? 'helm is not installed: set HELM, or HECTOR_TEST_INSTALL to have it built (two minutes)'
    : 'helm is not installed, nor Go to build it with: set HELM';

export const helmProgram = () => found as string;

/** What it prints. With `kubeconfig` it talks to that cluster. */
export async function helm(args: readonly string[], kubeconfig = '/dev/null'): Promise<string> {
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  return (await promisify(execFile)(helmProgram(), args, { env, maxBuffer: 64 * 1024 ** 2 })).stdout;
}
