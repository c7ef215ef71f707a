import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { goProgram } from './go-program.ts';
import { type ApiServer, apiServerMissing } from './kube-apiserver.ts';
import { freePort, startService } from './service.ts';

/** PROMETHEUS_ADAPTER names one of one's own. */
const found = await goProgram({
  name: 'prometheus-adapter',
  version: '0.12.0',
  module: 'sigs.k8s.io/prometheus-adapter',
  main: 'sigs.k8s.io/prometheus-adapter/cmd/adapter',
  elsewhere: [process.env['PROMETHEUS_ADAPTER'] ?? 'prometheus-adapter'],
});

/** What is missing, for `skip`; `false` where it is there. */
export const adapterMissing =
  apiServerMissing ||
  (found ? false : 'prometheus-adapter is not there: set HECTOR_TEST_INSTALL to have it built (minutes)');

/** What an autoscaler asks: the custom metrics API, as prometheus-adapter serves it to a cluster. */
export interface Adapter extends AsyncDisposable {
  /** The value of a metric for each pod that has these labels. */
  podMetric(namespace: string, selector: string, name: string): Promise<Readonly<Record<string, string>>>;
}

/** Its rules are those of the values of its chart. */
export async function startAdapter(
  api: ApiServer,
  prometheus: string,
  rules: Readonly<{ custom: unknown }>,
): Promise<Adapter> {
  const port = await freePort();
  const certificates = join(api.folder, 'adapter');
  const config = join(api.folder, 'adapter.yaml');
  await writeFile(config, stringify({ rules: rules.custom }));
  const get = (path: string) =>
    api.shell(
      `kubectl get --raw '${path}' --server=https://127.0.0.1:${port} --certificate-authority=${certificates}/apiserver.crt`,
    );
  const service = await startService({
    name: 'prometheus-adapter',
    port,
    command: () => ({
      program: found as string,
      args: [
        ...['lister', 'authentication', 'authorization'].map((what) => `--${what}-kubeconfig=${api.kubeconfig}`),
        ...[`--config=${config}`, `--prometheus-url=${prometheus}`, '--metrics-relist-interval=1s'],
        ...[`--cert-dir=${certificates}`, `--secure-port=${port}`, '--bind-address=127.0.0.1'],
      ],
    }),
    ready: async () => {
      const certificate = await readFile(join(certificates, 'apiserver.crt')).catch(() => undefined);
      if (certificate === undefined) return false;
      return await get('/readyz').then(
        (answer) => answer === 'ok',
        () => false,
      );
    },
  });
  return {
    async podMetric(namespace, selector, name) {
      const path = `/apis/custom.metrics.k8s.io/v1beta1/namespaces/${namespace}/pods/*/${name}`;
      const { items } = JSON.parse(await get(`${path}?labelSelector=${encodeURIComponent(selector)}`)) as {
        items: { describedObject: { name: string }; value: string }[];
      };
      return Object.fromEntries(items.map(({ describedObject, value }) => [describedObject.name, value]));
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
