import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { etcdMissing, startEtcd } from './etcd.ts';
import { kubectlMissing, kubectlProgram } from './kubectl.ts';
import { kubernetesProgram, schemasMissing } from './kubernetes.ts';
import { freePort, serviceFolder, startService } from './service.ts';

/** KUBE_APISERVER names one of one's own. */
const found = await kubernetesProgram('kube-apiserver', [process.env['KUBE_APISERVER'] ?? 'kube-apiserver']);

/** What is missing, for `skip`; `false` where it is there. */
export const apiServerMissing =
  etcdMissing ||
  kubectlMissing ||
  schemasMissing ||
  (found
    ? false
    : 'kube-apiserver is not there: set KUBE_APISERVER, or HECTOR_TEST_INSTALL to have it built (minutes)');

/** The API of a cluster that has no nodes: what is applied is checked, defaulted, admitted and kept, and nothing runs. */
export interface ApiServer extends AsyncDisposable {
  /** A file for KUBECONFIG, with all rights. */
  readonly kubeconfig: string;
  /** What is in `bin` of it is found by `shell`. */
  readonly folder: string;
  /** Runs a command line as a guide has it, `kubectl` among what it finds; gives what it prints. */
  shell(command: string, env?: Readonly<Record<string, string>>, cwd?: string): Promise<string>;
}

const token = 'token-of-the-test';

export async function startApiServer(): Promise<ApiServer> {
  const etcd = await startEtcd();
  const folder = await serviceFolder('kube-apiserver');
  const port = await freePort();
  const key = join(folder, 'accounts.key');
  const tokens = join(folder, 'tokens.csv');
  const kubeconfig = join(folder, 'kubeconfig');
  const certificates = join(folder, 'certificates');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(tokens, `${token},admin,admin,system:masters\n`);
  await mkdir(join(folder, 'bin'));
  await symlink(kubectlProgram(), join(folder, 'bin/kubectl'));
  const PATH = [join(folder, 'bin'), process.env['PATH']].join(delimiter);
  const shell: ApiServer['shell'] = async (command, env = {}, cwd = join(import.meta.dirname, '../..')) => {
    const options = { cwd, env: { ...process.env, PATH, KUBECONFIG: kubeconfig, ...env }, maxBuffer: 64 * 1024 ** 2 };
    return (await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', command], options)).stdout;
  };
  try {
    const service = await startService({
      name: 'kube-apiserver',
      port,
      folder,
      command: () => ({
        program: found as string,
        args: [
          ...[`--etcd-servers=${etcd.url}`, `--secure-port=${port}`, '--bind-address=127.0.0.1'],
          ...[`--cert-dir=${certificates}`, `--token-auth-file=${tokens}`, '--authorization-mode=RBAC'],
          ...['--service-account-issuer=https://kubernetes.default.svc', '--service-cluster-ip-range=10.96.0.0/16'],
          ...[`--service-account-key-file=${key}`, `--service-account-signing-key-file=${key}`],
        ],
      }),
      ready: async () => {
        const ca = await readFile(join(certificates, 'apiserver.crt'), 'base64').catch(() => undefined);
        if (ca === undefined) return false;
        const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': ca };
        await writeFile(
          kubeconfig,
          JSON.stringify({
            apiVersion: 'v1',
            kind: 'Config',
            clusters: [{ name: 'test', cluster }],
            users: [{ name: 'test', user: { token } }],
            contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
            'current-context': 'test',
          }),
          { mode: 0o600 },
        );
        return await shell('kubectl get --raw /readyz').then(
          (answer) => answer === 'ok',
          () => false,
        );
      },
    });
    return {
      kubeconfig,
      folder,
      shell,
      async [Symbol.asyncDispose]() {
        await service[Symbol.asyncDispose]();
        await etcd[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await etcd[Symbol.asyncDispose]();
    throw error;
  }
}
