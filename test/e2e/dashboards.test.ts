import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { metrics as names } from '../../core/telemetry/names.ts';
import { type Prometheus, startPrometheus } from '../services/prometheus.ts';
import { prometheusMissing } from '../services/promtool.ts';
import { userMessage } from '../support/a2a-client.ts';
import { replace, rewrite } from '../support/config-status.ts';
import { deployFile } from '../support/deploy-file.ts';
import type { Hector } from '../support/hector.ts';
import { meteredConfig, startMetered, tell } from '../support/metered.ts';
import { until } from '../support/until.ts';

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

const dashboards: readonly Dashboard[] = await Promise.all(
  [deployFile('grafana/hector-agents.json'), deployFile('grafana/hector-runtime.json')].map(async (path) =>
    JSON.parse(await readFile(path, 'utf8')),
  ),
);

/** As Grafana does: all of a variable, and times that are short for a test. */
function substituted(text: string): string {
  const values: Readonly<Record<string, string>> = {
    job: 'hector',
    instance: '.*',
    agent: '.*',
    __rate_interval: '15s',
    __interval: '15s',
    __range: '1m',
  };
  return text.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    assert.ok(value !== undefined, `$${name} is no variable`);
    return value;
  });
}

const hasData = async (prometheus: Prometheus, expression: string) =>
  (await prometheus.query(substituted(expression))).some(({ value }) => !Number.isNaN(value));

/** Everything that a dashboard shows, over and over, until it is told to stop; one request stays open. */
async function work(hector: Hector, signal: AbortSignal): Promise<void> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify({ message: userMessage('hang') }),
    signal,
  };
  const open = fetch(`${hector.url}/agents/worker/message:stream`, init).then((response) => response.text());
  const leaving = assert.rejects(open, { name: 'AbortError' });
  for (let at = 0; !signal.aborted; at++) {
    for (const wish of ['tell', 'good', 'bad', 'fail']) await tell(hector, wish);
    if (at % 5 === 0) await replace(hector, meteredConfig('{}', `  extra: { description: "v${at}" }`));
    if (at % 5 === 1) await rewrite(hector, 'agents: nonsense');
    await sleep(200);
  }
  await leaving;
}

describe('the dashboards', () => {
  test('they have a datasource to choose, panels that do not overlap, and every metric of Hector', () => {
    assert.deepEqual(dashboards.map(({ uid }) => uid).sort(), ['hector-agents', 'hector-runtime']);
    for (const { uid, panels, templating } of dashboards) {
      assert.equal(templating.list[0]?.type, 'datasource');
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
      );
      assert.equal(new Set(cells).size, cells.length, `${uid}: panels overlap`);
      for (const { title, type, targets = [] } of panels) {
        assert.ok(type === 'row' || targets.length > 0, title);
        for (const { datasource } of targets) assert.equal(datasource.uid, '${datasource}', title);
      }
    }
    const all = JSON.stringify(dashboards);
    assert.deepEqual(
      Object.values(names).filter((name) => !all.includes(`hector_${name}`)),
      [],
    );
  });

  test('every query has data of a server that has worked', { skip: prometheusMissing }, async () => {
    await using hector = await startMetered();
    await using prometheus = await startPrometheus(new URL(hector.url).host);
    const over = new AbortController();
    const working = work(hector, over.signal);
    const left = new Map(
      dashboards.flatMap(({ uid, panels, annotations }) => [
        ...panels.flatMap(({ title, targets = [] }) =>
          targets.map(({ expr }, at): [string, string] => [`${uid}: ${title} ${at}`, expr]),
        ),
        ...annotations.list.map(({ name, expr }): [string, string] => [`${uid}: ${name}`, expr]),
      ]),
    );
    assert.ok(left.size > 50);
    try {
      await until(async () => {
        for (const [panel, expression] of left) if (await hasData(prometheus, expression)) left.delete(panel);
        return left.size === 0;
      }, 40_000).catch((error: unknown) =>
        assert.fail(`${error}\nwithout data: ${JSON.stringify([...left], null, 1)}`),
      );
      for (const { uid, templating } of dashboards) {
        for (const { name, query } of templating.list) {
          if (typeof query === 'string') continue;
          const [, series = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query.query) ?? [];
          const match = encodeURIComponent(substituted(series));
          const values: string[] = await prometheus.get(`label/${label}/values?match[]=${match}`);
          assert.ok(values.length > 0, `${uid}: $${name}`);
        }
      }
      assert.equal(await hasData(prometheus, 'hector_no_such_metric'), false, 'what is not there has no data');
    } finally {
      over.abort();
      await working;
    }
  });
});
