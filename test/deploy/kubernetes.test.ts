import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { kubectl, kubectlMissing } from '../services/kubectl.ts';
import { schemasMissing } from '../services/kubernetes.ts';
import { deployFile } from '../support/deploy-file.ts';
import { danglingReferences } from '../support/manifest-references.ts';
import { manifestOf, manifestValidator, readManifests } from '../support/manifests.ts';
import { configurationOf } from './configuration.ts';
import { filesOf, kustomized, overlays, shipped } from './kustomize.ts';

test('every file belongs to an overlay, or to what is named here', () => {
  const apart = ['prometheus-adapter/values.yaml', ...filesOf('restore')];
  const reached = new Set([...overlays.flatMap((overlay) => filesOf(join('overlays', overlay))), ...apart]);
  const [outside, inside] = [true, false].map((is) => [...reached].filter((path) => path.startsWith('..') === is));
  assert.deepEqual(shipped(), inside?.sort());
  const dashboards = relative(deployFile('kubernetes'), deployFile('grafana/kustomization.yaml'));
  assert.ok(outside?.includes(dashboards), outside?.join());
});

const seconds = (text: string) => Number(/^(\d+)s$/.exec(text)?.[1] ?? Number.NaN);

/** One thing that is wrong, and what is said of it. */
const broken: readonly (readonly [what: string, from: string | RegExp, to: string, said: RegExp])[] = [
  ['an unknown field', 'readinessProbe:', 'readinesProbe:', /Deployment hector: .*readinesProbe/],
  ['an unknown field deep down', 'runAsNonRoot:', 'runAsNotRoot:', /Deployment hector: .*runAsNotRoot/],
  ['a text for a number', 'containerPort: 8080', 'containerPort: "8080"', /containerPort must be integer/],
  ['a kind of another version', 'apiVersion: policy/v1', 'apiVersion: policy/v1beta1', /no PodDisruptionBudget in/],
  ['a field that is missing', / +pathType: Prefix\n/, '', /Ingress hector: .*pathType/],
  ['an unknown field of another kind', 'jobLabel:', 'jobLable:', /ServiceMonitor hector: .*jobLable/],
  ['a rule without an expression', 'alert: HectorDown', 'alerts: HectorDown', /PrometheusRule hector: .*alerts/],
];
const dangling: typeof broken = [
  ['a Secret that is not there', 'name: hector-secrets\n ', 'name: hector-secret\n ', /hector-secret/],
  ['a key of it', 'key: DB_PASSWORD', 'key: PASSWORD', /hector-secrets: PASSWORD/],
  ['a volume', 'name: data\n', 'name: dada\n', /nothing mounts data/],
  ['a claim', 'claimName: backup-pvc', 'claimName: backups', /claim backups/],
  ['a port of a Service', 'targetPort: http', 'targetPort: https', /Service hector: port https/],
  ['a port of an Ingress', 'number: 80\n', 'number: 8080\n', /Ingress hector: Service hector/],
  [
    'pods that a policy is about',
    /podSelector:\n {4}matchLabels:\n {6}app: postgres/,
    'podSelector:\n    matchLabels:\n      app: postgresql',
    /postgresql/,
  ],
  ['a Service that is scraped', 'app: hector-metrics\n', 'app: metrics\n', /0 services/],
  [
    'what is scaled',
    'kind: Deployment\n    name: hector',
    'kind: Deployment\n    name: hectors',
    /HorizontalPodAutoscaler hector: hectors/,
  ],
];

describe('the overlays', { skip: kubectlMissing || schemasMissing }, async () => {
  const validate = await manifestValidator();

  for (const overlay of [...overlays.map((name) => `overlays/${name}`), 'restore']) {
    test(`${overlay}: every object is one that Kubernetes takes`, async () => {
      const manifests = await kustomized(overlay);
      assert.deepEqual(validate(manifests), []);
      for (const each of manifests)
        if (each.kind !== 'Namespace') assert.equal(each.metadata.namespace, 'hector', `${each.kind}`);
    });
  }

  for (const [check, cases] of [
    [validate, broken],
    [danglingReferences, dangling],
  ] as const) {
    for (const [what, from, to, said] of cases) {
      test(`${what} is seen`, async () => {
        const whole = await kubectl('kustomize', deployFile('kubernetes/overlays/observability'));
        const text = whole.replace(from, to);
        assert.notEqual(text, whole);
        assert.match(check(readManifests(text)).join('\n'), said);
      });
    }
  }

  for (const overlay of overlays) {
    test(`${overlay}: what objects name is there`, async () => {
      assert.deepEqual(danglingReferences(await kustomized(`overlays/${overlay}`)), []);
    });

    test(`${overlay}: pods get the time that the configuration gives them to end`, async () => {
      const manifests = await kustomized(`overlays/${overlay}`);
      const { shutdown } = (await configurationOf(manifests)).server;
      const { spec } = manifestOf(manifests, 'Deployment', 'hector')['spec'].template;
      const { readinessProbe, lifecycle } = spec.containers[0];
      const [program, before] = lifecycle.preStop.exec.command;
      assert.equal(program, 'sleep');
      const needed = Number(before) + seconds(shutdown.delay) + seconds(shutdown.timeout) + 10;
      assert.ok(spec.terminationGracePeriodSeconds >= needed, `it takes ${needed} s`);
      const { periodSeconds } = readinessProbe;
      assert.ok(periodSeconds < seconds(shutdown.delay));
    });
  }

  test('the alerts are those of deploy/prometheus, of the job that is scraped', async () => {
    const manifests = await kustomized('overlays/observability');
    const { groups } = parse(await readFile(deployFile('prometheus/alerts.yml'), 'utf8'));
    assert.deepEqual(manifestOf(manifests, 'PrometheusRule', 'hector')['spec'].groups, groups);
    const { jobLabel } = manifestOf(manifests, 'ServiceMonitor', 'hector')['spec'];
    const job = manifestOf(manifests, 'Service', 'hector-metrics').metadata.labels?.[jobLabel];
    assert.ok(JSON.stringify(groups).includes(`job=\\"${job}\\"`));
  });

  test('the database takes the connections of all pods that there may be', async () => {
    const manifests = await kustomized('overlays/observability');
    const { maxReplicas } = manifestOf(manifests, 'HorizontalPodAutoscaler', 'hector')['spec'];
    const { maxSurge } = manifestOf(manifests, 'Deployment', 'hector')['spec'].strategy.rollingUpdate;
    const { max_conns } = (await configurationOf(manifests)).databases.main;
    const [{ args }] = manifestOf(manifests, 'StatefulSet', 'postgres')['spec'].template.spec.containers;
    const max = Number(/max_connections=(\d+)/.exec(args.join(' '))?.[1]);
    // Three are kept for superusers, and one is the backup's.
    assert.ok((maxReplicas + maxSurge) * max_conns + 4 <= max, `${maxReplicas} + ${maxSurge}, ${max_conns}, ${max}`);
  });
});
