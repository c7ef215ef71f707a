import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { alertsPath as path } from '../services/prometheus.ts';
import { prometheusMissing, promtool } from '../services/promtool.ts';
import { type Change, instances, type Story, stories, unchanged } from '../support/alert-stories.ts';
import { type Labels, labelsText, type Sample } from '../support/exposition.ts';
import { breakStorage, scrapeOf, startMetered, tell } from '../support/metered.ts';
import { ask } from '../support/surfaces.ts';

interface Rule {
  readonly alert: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const rules: readonly Rule[] = parse(await readFile(path, 'utf8')).groups.flatMap(
  ({ rules }: { rules: Rule[] }) => rules,
);

/** What a server says that has come to every end that an alert is about. */
async function scraped(): Promise<readonly Sample[]> {
  await using hector = await startMetered();
  for (const wish of ['tell', 'good', 'bad', 'fail']) await tell(hector, wish);
  await fetch(`${hector.url}/nothing`);
  breakStorage(hector);
  const { status } = await ask(`${hector.url}/agents/worker/message:send`, undefined, {
    message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'tell' }] },
  });
  assert.equal(status, 503);
  return (await scrapeOf(hector)).samples;
}

/** The series over time, by the story; each change must concern something that Hector has said. */
function seriesOf(samples: readonly Sample[], changes: readonly Change[]): object[] {
  const touched = new Set<Change>();
  const series = samples.flatMap(({ name, labels, value }) => {
    const change = changes.find(
      (each) =>
        each.name === name && Object.entries(each.labels ?? {}).every(([label, text]) => labels[label] === text),
    );
    if (change) touched.add(change);
    if (change?.drop) return [];
    const text = labelsText({ ...labels, ...change?.relabel });
    return [{ series: `${name}{${text}}`, values: change?.values ?? unchanged(value) }];
  });
  assert.deepEqual(
    changes.filter((change) => !touched.has(change)),
    [],
    'no such series was scraped',
  );
  return series;
}

const expanded = (annotations: Rule['annotations'], labels: Labels) =>
  Object.fromEntries(
    Object.entries(annotations).map(([name, text]) => [
      name,
      text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? ''),
    ]),
  );

describe('every alert fires on what Hector says, and only then', { skip: prometheusMissing }, () => {
  let samples: readonly Sample[];
  let folder: string;
  before(async () => {
    const own = await scraped();
    samples = instances.flatMap((instance) => [
      ...own.map(({ name, labels, value }) => ({ name, labels: { ...labels, ...instance }, value })),
      { name: 'up', labels: instance, value: 1 },
    ]);
    folder = await mkdtemp(join(tmpdir(), 'hector-alerts-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const run = async (alert: string, changes: readonly Change[], expected: readonly object[]) => {
    const file = join(folder, `${alert}-${expected.length}.yml`);
    const alert_rule_test = [{ eval_time: '2h', alertname: alert, exp_alerts: expected }];
    const one = { interval: '1m', input_series: seriesOf(samples, changes), alert_rule_test };
    await writeFile(file, JSON.stringify({ rule_files: [path], evaluation_interval: '1m', tests: [one] }));
    return promtool(['test', 'rules', file]);
  };

  test('each has a story', () => assert.deepEqual(Object.keys(stories).sort(), rules.map(({ alert }) => alert).sort()));

  for (const { alert, annotations } of rules) {
    test(alert, async () => {
      const { fires, silent, labels } = stories[alert] as Story;
      const firing = { exp_labels: labels, exp_annotations: expanded(annotations, labels) };
      for (const [changes, expected] of [
        [fires, [firing]],
        [silent, []],
        [[], []],
      ] as const) {
        const { ok, output } = await run(alert, changes, expected);
        assert.ok(ok, output);
      }
      assert.equal((await run(alert, fires, [])).ok, false, 'promtool sees that it fires');
    });
  }
});
