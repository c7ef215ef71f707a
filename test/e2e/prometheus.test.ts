import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { alertsPath, configPath, startPrometheus } from '../services/prometheus.ts';
import { prometheusMissing, promtool } from '../services/promtool.ts';
import { startMetered, tell } from '../support/metered.ts';
import { until } from '../support/until.ts';

const guide = join(import.meta.dirname, '../fixtures/monitoring');
const read = async (path: string) => parse(await readFile(path, 'utf8'));

describe("the deployment guide's configuration of Prometheus", { skip: prometheusMissing }, () => {
  test('its scrape configuration and its rules load, and so do ours', async () => {
    for (const args of [
      ['check', 'config', join(guide, 'scrape.yml')],
      ['check', 'rules', join(guide, 'alerts.yml')],
      ['check', 'config', configPath],
      ['check', 'rules', alertsPath],
    ]) {
      const { ok, output } = await promtool(args);
      assert.ok(ok, output);
      assert.match(output, /SUCCESS/);
    }
    assert.equal((await promtool(['check', 'rules', configPath])).ok, false);
  });

  test('ours have all of it', async () => {
    const ours = await read(alertsPath);
    // And a page for each, which test/deploy/runbook.test.ts reads.
    for (const { annotations } of ours.groups[0].rules) delete annotations.runbook_url;
    const [group] = (await read(join(guide, 'alerts.yml'))).groups;
    assert.equal(group.rules.length, 3);
    assert.deepEqual(ours.groups[0], group);
    const { scrape_configs } = await read(configPath);
    assert.deepEqual({ scrape_configs }, await read(join(guide, 'scrape.yml')));
  });
});

test('a real Prometheus scrapes a running server, and says what it counts', { skip: prometheusMissing }, async () => {
  await using hector = await startMetered();
  await using prometheus = await startPrometheus(new URL(hector.url).host);
  for (const wish of ['tell', 'good', 'fail']) await tell(hector, wish);
  await until(async () => (await prometheus.query('sum(hector_agent_requests_total)'))[0]?.value === 3, 30_000);
  const errors = await prometheus.query('hector_agent_requests_total{status="error"}');
  assert.deepEqual(
    errors.map(({ metric, value }) => [metric['agent'], metric['job'], value]),
    [['worker', 'hector', 1]],
  );
  const { activeTargets } = await prometheus.get('targets');
  assert.deepEqual(
    activeTargets.map(({ health, lastError }: Record<string, string>) => [health, lastError]),
    [['up', '']],
  );
  const { groups } = await prometheus.get('rules');
  const health = groups.flatMap(({ rules }: { rules: { name: string; health: string }[] }) => rules);
  assert.ok(health.length > 15);
  for (const rule of health) assert.notEqual(rule.health, 'err', rule.name);
});
