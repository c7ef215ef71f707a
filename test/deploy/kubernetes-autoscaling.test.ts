import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { startApiServer } from '../services/kube-apiserver.ts';
import { startPrometheus } from '../services/prometheus.ts';
import { adapterMissing, startAdapter } from '../services/prometheus-adapter.ts';
import { prometheusMissing } from '../services/promtool.ts';
import { connect, stream } from '../support/a2a-client.ts';
import { deployFile } from '../support/deploy-file.ts';
import { startHector } from '../support/hector.ts';
import { manifestOf } from '../support/manifests.ts';
import { until } from '../support/until.ts';
import { kustomized } from './kustomize.ts';

interface Rule {
  readonly name: { readonly as: string };
}
const config = 'llms: { default: { provider: echo, delay: 200ms } }\nagents: { assistant: {} }\n';

describe('the autoscaler', { skip: adapterMissing || prometheusMissing }, async () => {
  const values = parse(await readFile(deployFile('kubernetes/prometheus-adapter/values.yaml'), 'utf8'));
  const [rule]: Rule[] = values.rules.custom;
  assert.ok(rule);
  const manifests = await kustomized('overlays/observability');
  const { metrics } = manifestOf(manifests, 'HorizontalPodAutoscaler', 'hector')['spec'];
  const targetOf = (type: string, name: string) =>
    metrics.find((each: { type: string; resource?: { name: string } }) => {
      return each.type === type && (each.resource?.name ?? name) === name;
    });

  test('is told what is under way in each pod, and 0 of one that has nothing', async () => {
    assert.equal(targetOf('Pods', rule.name.as).pods.metric.name, rule.name.as);
    await using busy = await startHector({ config });
    await using idle = await startHector({ config });
    const hostOf = ({ url }: { url: string }) => new URL(url).host;
    await using prometheus = await startPrometheus({
      [hostOf(busy)]: { namespace: 'hector', pod: 'busy' },
      [hostOf(idle)]: { namespace: 'hector', pod: 'idle' },
    });
    await using api = await startApiServer();
    await api.shell('kubectl create namespace hector');
    await api.shell('kubectl create serviceaccount default -n hector');
    for (const name of ['busy', 'idle'])
      await api.shell(`kubectl run ${name} --image=hector --labels=app=hector -n hector`);
    await using adapter = await startAdapter(api, prometheus.url, values.rules);
    // The labels by which the autoscaler finds the pods of the Deployment.
    const told = () => adapter.podMetric('hector', 'app=hector', rule.name.as);
    await until(async () => JSON.stringify(await told().catch(() => undefined)) === '{"busy":"0","idle":"0"}', 30_000);

    const client = await connect(busy.url);
    const words = Array.from({ length: 1_000 }, (_, at) => `word${at}`).join(' ');
    const streams = [stream(client, words), stream(client, words), stream(client, words)];
    for (const each of streams) await each.next();
    await until(async () => (await told())['busy'] === '3', 30_000);
    assert.equal((await told())['idle'], '0');
    for (const each of streams) await each.return(undefined);
  });

  test('does not take a pod at rest for one that is full', async () => {
    const { averageUtilization } = targetOf('Resource', 'memory').resource.target;
    const [container] = manifestOf(manifests, 'Deployment', 'hector')['spec'].template.spec.containers;
    const requested = Number(/^(\d+)Mi$/.exec(container.resources.requests.memory)?.[1]) * 1024 ** 2;
    await using hector = await startHector({ config });
    const text = await (await fetch(`${hector.url}/metrics`)).text();
    const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]);
    assert.ok(resident < (requested * averageUtilization) / 100, `${resident} of ${requested}`);
  });
});
