import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { kubernetesProgram } from './kubernetes.ts';

/** KUBECTL names one of one's own. `kustomize` is part of it. */
const found = await kubernetesProgram('kubectl', [process.env['KUBECTL'] ?? 'kubectl']);

/** What is missing, for `skip`; `false` where it is there. */
export const kubectlMissing = found ? false : 'kubectl is not installed: set KUBECTL, or HECTOR_TEST_INSTALL';

export const kubectlProgram = () => found as string;

/** What it prints, and it knows of no cluster. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, KUBECONFIG: '/dev/null' };
  return (await promisify(execFile)(kubectlProgram(), args, { env, maxBuffer: 64 * 1024 ** 2 })).stdout;
}
