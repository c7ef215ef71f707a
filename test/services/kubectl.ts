import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from './service.ts';

/** KUBECTL names one of one's own; it has kustomize in it. */
const found = await findProgram(process.env['KUBECTL'] ?? 'kubectl');

/** What is missing, for `skip`; `false` where it is there. */
export const kubectlMissing = found ? false : 'kubectl is not installed: set KUBECTL';

/** What it prints. It is told of no cluster but by `args`. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, KUBECONFIG: '/dev/null' };
  return (await promisify(execFile)(found as string, args, { env, maxBuffer: 64 * 1024 ** 2 })).stdout;
}
