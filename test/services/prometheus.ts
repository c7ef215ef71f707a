import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deployFile } from '../support/deploy-file.ts';
import { prometheusProgram } from './promtool.ts';
import { freePort, serviceFolder, startService } from './service.ts';

export const configPath = deployFile('prometheus/prometheus.yml');
export const alertsPath = deployFile('prometheus/alerts.yml');

export interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  query(expression: string): Promise<readonly Result[]>;
  /** Anything else of `/api/v1`. */
  // biome-ignore lint/suspicious/noExplicitAny: each path answers with something else.
  get(path: string): Promise<any>;
}

/** What is scraped, and the labels that whoever has found it there gives it. */
export type Targets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A real Prometheus with the configuration of deploy/prometheus, which scrapes these addresses, and every second. */
export async function startPrometheus(target: string | Targets): Promise<Prometheus> {
  const all: Targets = typeof target === 'string' ? { [target]: {} } : target;
  const entries = Object.entries(all).map(
    ([address, labels]) => `targets: ['${address}']\n        labels: ${JSON.stringify(labels)}`,
  );
  const folder = await serviceFolder('prometheus');
  const config = await readFile(configPath, 'utf8');
  const ours = config
    .replace(/targets: \['[^']*'\]/, () => entries.join('\n      - '))
    .replaceAll(/(_interval): 15s/g, '$1: 1s');
  if (!entries.every((entry) => ours.includes(entry)) || !ours.includes('scrape_interval: 1s'))
    throw new Error(`nothing to replace:\n${config}`);
  await writeFile(join(folder, 'prometheus.yml'), ours);
  await copyFile(alertsPath, join(folder, 'alerts.yml'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const get = async (path: string) => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  const service = await startService({
    name: 'prometheus',
    port,
    folder,
    command: () => ({
      program: prometheusProgram(),
      args: [
        '--config.file=prometheus.yml',
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
    }),
    ready: () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
  });
  return {
    url,
    get,
    async query(expression) {
      type Answer = { result: { metric: Result['metric']; value: [number, string] }[] };
      const { result } = (await get(`query?query=${encodeURIComponent(expression)}`)) as Answer;
      return result.map(({ metric, value: [, text] }) => ({
        metric,
        value: text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text),
      }));
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
