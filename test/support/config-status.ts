import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentHash } from '../../core/config/content-hash.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import type { Hector } from './hector.ts';
import { until } from './until.ts';

export async function configStatus({ url }: Pick<Hector, 'url'>): Promise<ConfigStatus> {
  const response = await fetch(`${url}/api/config/status`);
  return (await response.json()) as ConfigStatus;
}

/** The value of a metric, summed over the series whose labels have these texts in them. */
export async function metric(
  { url }: Pick<Hector, 'url'>,
  name: string,
  ...labels: readonly string[]
): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const series = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (series.length === 0) throw new Error(`There is no metric ${name}`);
  return series
    .filter((line) => labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Rewrites the configuration file. */
export function rewrite({ folder }: Pick<Hector, 'folder'>, config: string): Promise<void> {
  return writeFile(join(folder, 'config.yaml'), config);
}

export async function serves(hector: Pick<Hector, 'url'>, config: string): Promise<boolean> {
  return (await configStatus(hector)).serving?.content_hash === contentHash({ text: config });
}

/** Rewrites the configuration file of a server that watches it, and waits until that is what serves. */
export async function replace(hector: Pick<Hector, 'url' | 'folder'>, config: string): Promise<void> {
  await rewrite(hector, config);
  await until(() => serves(hector, config), 20_000);
}

/** Waits until no replaced configuration has work left. */
export async function drained(hector: Pick<Hector, 'url'>): Promise<void> {
  await until(async () => (await configStatus(hector)).draining.length === 0, 20_000);
}
