import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processMetrics } from '../../server/metrics/process.ts';
import { userMessage } from '../support/a2a-client.ts';
import type { Family } from '../support/exposition.ts';
import { scrapeOf, startMetered, tell } from '../support/metered.ts';
import { until } from '../support/until.ts';
import { root } from './blocks.ts';

/**
 * The table of docs/observability.md, made from what a running server says of itself. `node --import tsx
 * test/docs/metrics-table.ts --write` puts it between the marks in the page; a test compares.
 */
const page = join(root, 'docs/observability.md');
const marks = { begin: '<!-- metrics: begin -->', end: '<!-- metrics: end -->' };

/** Of a server that has done all that is counted with labels, and is doing something. */
async function families(): Promise<readonly Family[]> {
  await using hector = await startMetered();
  for (const wish of ['tell', 'good', 'fail']) await tell(hector, wish);
  const left = new AbortController();
  const open = fetch(`${hector.url}/agents/worker/message:stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify({ message: userMessage('hang') }),
    signal: left.signal,
  });
  let scrape = await scrapeOf(hector);
  await until(async () => {
    scrape = await scrapeOf(hector);
    return scrape.sum('hector_inflight_requests') === 1;
  });
  await open;
  left.abort();
  return scrape.families;
}

const row = (name: string, labels: readonly string[], type: string, help: string) =>
  `| \`${name}${labels.length > 0 ? `{${labels.join()}}` : ''}\` | ${type} | ${help.replaceAll('|', '\\|')} |`;

function rowOf({ name, type, help, samples }: Family): string {
  const [sample] = samples;
  if (!sample) throw new Error(`${name} has no series, so nobody knows its labels`);
  return row(
    name,
    Object.keys(sample.labels).filter((label) => label !== 'le'),
    type,
    help,
  );
}

const head = ['| metric | type | |', '|---|---|---|'];

async function metricsTable(): Promise<string> {
  const own = (await families()).filter(({ name }) => name.startsWith('hector_'));
  type Known = { name: string; help: string; type: string; labelNames?: readonly string[] };
  // Not all of these have a series at any time.
  const process = processMetrics().getMetricsAsArray() as unknown as readonly Known[];
  const kindOf = (metric: object) => metric.constructor.name.toLowerCase();
  return [
    ...head,
    ...own.map(rowOf),
    '',
    'Of the process, whatever the namespace:',
    '',
    ...head,
    ...process.map((metric) =>
      row(
        metric.name,
        (metric.labelNames ?? []).filter((label) => label !== 'le'),
        kindOf(metric),
        metric.help,
      ),
    ),
  ].join('\n');
}

/** The page with its table as it is now. */
export async function pageWithMetrics(): Promise<{ readonly current: string; readonly expected: string }> {
  const current = readFileSync(page, 'utf8');
  const [before, rest] = current.split(marks.begin);
  const after = rest?.split(marks.end)[1];
  if (before === undefined || after === undefined) throw new Error(`${page} lacks ${marks.begin} … ${marks.end}`);
  return { current, expected: `${before}${marks.begin}\n\n${await metricsTable()}\n\n${marks.end}${after}` };
}

if (process.argv.includes('--write')) writeFileSync(page, (await pageWithMetrics()).expected);
