import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kubectlMissing } from '../services/kubectl.ts';
import { readManifests } from '../support/manifests.ts';
import { allowed, type Flow, type Peer } from '../support/network-policy.ts';
import { kustomized } from './kustomize.ts';

const pod = (namespace: string, app: string): Peer => ({ namespace, labels: { app } });
const hector = pod('hector', 'hector');
const postgres = pod('hector', 'postgres');
const backup = pod('hector', 'hector-backup');
const stranger = pod('hector', 'stranger');
const nginx = pod('ingress-nginx', 'controller');
const prometheus = pod('monitoring', 'prometheus');
const dns = pod('kube-system', 'coredns');
const collector = pod('observability', 'jaeger-collector');
const model = { address: '162.159.140.245' };

const good: Readonly<Record<string, Flow>> = {
  'the Ingress controller to agents': { from: nginx, to: hector, port: 8080 },
  'Prometheus to metrics': { from: prometheus, to: hector, port: 9090 },
  'names by UDP': { from: hector, to: dns, port: 53, protocol: 'UDP' },
  'names by TCP': { from: hector, to: dns, port: 53 },
  'names by the cache of the node': { from: hector, to: { address: '169.254.20.10' }, port: 53, protocol: 'UDP' },
  'the database': { from: hector, to: postgres, port: 5432 },
  traces: { from: hector, to: collector, port: 4317 },
  'a model': { from: hector, to: model, port: 443 },
  'a model by IPv6': { from: hector, to: { address: '2606:4700:4400::6812:291' }, port: 443 },
  'the backup to the database': { from: backup, to: postgres, port: 5432 },
  'names for the backup': { from: backup, to: dns, port: 53, protocol: 'UDP' },
};
const bad: Readonly<Record<string, Flow>> = {
  'others to agents': { from: stranger, to: hector, port: 8080 },
  'the world to agents': { from: { address: '203.0.113.7' }, to: hector, port: 8080 },
  'the Ingress controller to metrics': { from: nginx, to: hector, port: 9090 },
  'the metadata of the cloud': { from: hector, to: { address: '169.254.169.254' }, port: 443 },
  'what is not HTTPS': { from: hector, to: model, port: 25 },
  'others to the database': { from: stranger, to: postgres, port: 5432 },
  'other namespaces to the database': { from: pod('other', 'hector'), to: postgres, port: 5432 },
  'the database to the world': { from: postgres, to: model, port: 443 },
  'the backup to the world': { from: backup, to: model, port: 443 },
};
const consul: Flow = { from: hector, to: { address: '10.1.2.3' }, port: 8500 };

/** That of the deployment guide, letter by letter. */
const guide = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: hector
  namespace: hector
spec:
  podSelector:
    matchLabels:
      app: hector
  policyTypes:
  - Ingress
  - Egress
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          name: ingress-nginx
    ports:
    - protocol: TCP
      port: 8080
  egress:
  - to:
    - podSelector:
        matchLabels:
          app: postgres
    ports:
    - protocol: TCP
      port: 5432
  - to:
    - namespaceSelector: {}
    ports:
    - protocol: TCP
      port: 443
`;

describe('the network policies', { skip: kubectlMissing }, async () => {
  const policiesOf = async (overlay: string) =>
    (await kustomized(`overlays/${overlay}`)).filter(({ kind }) => kind === 'NetworkPolicy');
  for (const overlay of ['postgres', 'observability', 'consul']) {
    const policies = await policiesOf(overlay);
    for (const [what, flow] of Object.entries(good))
      test(`${overlay} lets through ${what}`, () => assert.ok(allowed(policies, flow)));
    for (const [what, flow] of Object.entries(bad))
      test(`${overlay} stops ${what}`, () => assert.ok(!allowed(policies, flow)));
    test(`${overlay} and Consul`, () => assert.equal(allowed(policies, consul), overlay === 'consul'));
  }

  test('with that of the guide there were no callers, names, traces and models', () => {
    const policies = readManifests(guide);
    const stopped = Object.keys(good).filter((what) => !allowed(policies, good[what] as Flow));
    const callers = Object.keys(good).filter((what) => /^(the Ingress|Prometheus)/.test(what));
    const outside = Object.keys(good).filter((what) => /^(names by|traces|a model)/.test(what));
    assert.deepEqual(stopped.sort(), [...callers, ...outside].sort());
  });

  test('the overlay that a load balancer leads to has none', async () => {
    assert.deepEqual(await policiesOf('basic'), []);
  });
});
