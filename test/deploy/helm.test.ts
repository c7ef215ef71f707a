import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { helm, helmMissing } from '../services/helm.ts';
import { apiServerMissing, startApiServer } from '../services/kube-apiserver.ts';
import { operatorDefinition } from '../services/kubernetes.ts';
import { deployFile } from '../support/deploy-file.ts';
import { danglingReferences } from '../support/manifest-references.ts';
import { type Manifest, manifestOf, manifestValidator, readManifests } from '../support/manifests.ts';
import { configurationOf } from './configuration.ts';
import { kustomized, overlays } from './kustomize.ts';

const chart = deployFile('helm/hector');
const valuesOf = (overlay: string) => deployFile(`helm/values/${overlay}.yaml`);
/** What those files leave to the user. */
const secret = [
  '--set',
  'secrets.existingSecret=',
  '--set-json',
  'secrets.values={"OPENAI_API_KEY":"k","DB_PASSWORD":"p"}',
];
const own = ['--set', 'secrets.existingSecret=hector-secrets'];

const template = (...args: readonly string[]) => helm(['template', 'hector', chart, '--namespace', 'hector', ...args]);

const refused = (args: readonly string[], said: RegExp) =>
  assert.rejects(template(...args), (error: { stderr: string }) => {
    assert.match(error.stderr, said);
    return true;
  });

/** Everything that there is to switch. */
const everything = `
image: { tag: 2.0.1 }
imagePullSecrets: [{ name: registry }]
fullnameOverride: hector
secrets: { values: { OPENAI_API_KEY: k, DB_PASSWORD: p } }
extraEnv: [{ name: LOG_LEVEL, value: debug }]
extraVolumes: [{ name: documents, emptyDir: {} }]
extraVolumeMounts: [{ name: documents, mountPath: /documents }]
podAnnotations: { team: blue }
resources: { requests: { memory: 1Gi } }
nodeSelector: { disk: ssd }
tolerations: [{ key: dedicated, operator: Exists }]
affinity: { nodeAffinity: {} }
service: { annotations: { a: b } }
serviceAccount: { annotations: { a: b } }
ingress: { enabled: true, host: agents.example.com, tlsSecret: "" }
autoscaling: { enabled: true, cpu: 0, inflightRequests: 20 }
networkPolicy: { enabled: true, extraEgress: [{ ports: [{ protocol: TCP, port: 8443 }] }] }
serviceMonitor: { enabled: true }
prometheusRule: { enabled: true }
dashboards: { enabled: true }
postgres: { enabled: true, storageClass: fast }
backup: { enabled: true, storageClass: slow }
restore: { enabled: true, backup: hector-20260101-020000.sql.gz }
`;
const sets: Readonly<Record<string, string>> = {
  nothing: 'secrets: { values: { OPENAI_API_KEY: k } }',
  everything,
  'a text': `
config: |
  llms: { default: { provider: echo } }
  agents: { parrot: {} }
secrets: { values: { UNUSED: k } }
service: { type: LoadBalancer }
serviceAccount: { create: false }
podDisruptionBudget: { enabled: false }
replicaCount: 2
`,
  'a database elsewhere': `
replicaCount: 3
secrets: { values: { OPENAI_API_KEY: k, DB_PASSWORD: p } }
config:
  databases: { main: { driver: postgres, host: db.internal, database: hector, user: hector, password: "\${DB_PASSWORD}" } }
  storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
networkPolicy: { enabled: true, extraEgress: [{ ports: [{ protocol: TCP, port: 5432 }] }] }
`,
};

async function rendered(values: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-values-'));
  try {
    await writeFile(join(folder, 'values.yaml'), values);
    await helm(['lint', '--strict', '--values', join(folder, 'values.yaml'), chart]);
    return await template('--values', join(folder, 'values.yaml'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What an object says, whatever its maker calls it by: the chart has the names of its release, and labels of its own. */
function substance(manifests: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const names = JSON.stringify(manifests)
    .replaceAll('hector-postgres', 'postgres')
    .replaceAll('"claimName":"hector-backup"', '"claimName":"backup-pvc"');
  return Object.fromEntries(
    (JSON.parse(names) as Manifest[])
      .filter(({ kind }) => kind !== 'Namespace' && kind !== 'Secret')
      .map(({ apiVersion, kind, metadata, data, ...fields }) => {
        const name = kind === 'PersistentVolumeClaim' ? 'backup-pvc' : metadata.name;
        const template = fields['spec']?.jobTemplate?.spec.template ?? fields['spec']?.template;
        if (template) template.metadata = { app: template.metadata.labels.app };
        const config = data?.['config.yaml'] ? parse(data['config.yaml']) : data;
        return [`${apiVersion} ${kind} ${name}`, { ...fields, config, app: metadata.labels?.['app'] }];
      }),
  );
}

describe('the chart', { skip: helmMissing || apiServerMissing }, async () => {
  const validate = await manifestValidator();

  for (const [name, values] of Object.entries(sets)) {
    test(`with ${name}: every object is one that Kubernetes takes, and what they name is there`, async () => {
      const manifests = readManifests(await rendered(values));
      assert.deepEqual(validate(manifests), []);
      assert.deepEqual(danglingReferences(manifests), []);
      assert.ok((await configurationOf(manifests)).agents);
    });
  }

  for (const overlay of overlays) {
    test(`values/${overlay}.yaml is what the overlay of kustomize is`, async () => {
      await helm(['lint', '--strict', '--values', valuesOf(overlay), chart]);
      const manifests = readManifests(await template('--values', valuesOf(overlay)));
      assert.deepEqual(validate(manifests), []);
      assert.deepEqual(substance(manifests), substance(await kustomized(`overlays/${overlay}`)));
      const whole = readManifests(await template('--values', valuesOf(overlay), ...secret));
      assert.deepEqual(
        danglingReferences(whole).filter((problem) => !/Secret hector-consul/.test(problem)),
        [],
      );
    });
  }

  test('the Job that restores is that of kustomize', async () => {
    const args = ['--set', 'restore.enabled=true', '--show-only', 'templates/restore.yaml'];
    const manifests = readManifests(await template('--values', valuesOf('postgres'), ...args));
    assert.deepEqual(substance(manifests), substance(await kustomized('restore')));
  });

  test('every template is rendered by one of these', async () => {
    const all = [await rendered(everything), await template(...own)].join('\n');
    const files = readdirSync(join(chart, 'templates')).filter((name) => name.endsWith('.yaml'));
    assert.ok(files.length > 10);
    for (const name of files) assert.ok(all.includes(`# Source: hector/templates/${name}\n`), name);
  });

  test('a package of it has what its links lead to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hector-chart-'));
    try {
      await helm(['package', chart, '--destination', folder]);
      const [file = ''] = readdirSync(folder);
      const args = ['--namespace', 'hector', '--values', valuesOf('observability')];
      const packed = await helm(['template', 'hector', join(folder, file), ...args]);
      assert.equal(packed, await template('--values', valuesOf('observability')));
      const { data } = manifestOf(readManifests(packed), 'ConfigMap', 'hector-dashboards');
      for (const name of readdirSync(deployFile('grafana')).filter((each) => each.endsWith('.json')))
        assert.equal(data[name].trimEnd(), (await readFile(deployFile(`grafana/${name}`), 'utf8')).trimEnd());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('there is a values file for each overlay', () => {
    const files = readdirSync(deployFile('helm/values')).sort();
    assert.deepEqual(
      files,
      overlays.map((name) => `${name}.yaml`),
    );
  });

  test('it is of the version of Hector', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
    const { appVersion, version: own } = parse(await readFile(join(chart, 'Chart.yaml'), 'utf8'));
    assert.deepEqual([appVersion, own], [version, version]);
    for (const overlay of overlays) {
      const deployment = manifestOf(await kustomized(`overlays/${overlay}`), 'Deployment', 'hector');
      assert.equal(deployment['spec'].template.spec.containers[0].image, `ghcr.io/verikod/hector:${version}`);
    }
  });

  for (const [set, said] of [
    ['replicas=3', /additional properties 'replicas' not allowed/],
    ['replicaCount=-1', /replicaCount.*minimum/s],
    ['replicaCount=three', /replicaCount.*integer/s],
    ['ingress.hosts=x', /ingress.*'hosts' not allowed/s],
    ['service.type=Loadbalancer', /service\/type.*one of/s],
    ['postgres.storage=10GB', /postgres\/storage.*pattern/s],
    ['backup.schedule=daily', /backup\/schedule.*pattern/s],
    ['autoscaling.cpu=700', /autoscaling\/cpu.*maximum/s],
    ['remoteConfig.provider=redis', /remoteConfig\/provider.*one of/s],
    ['restore.backup=../../etc/passwd', /restore\/backup.*pattern/s],
  ] as const)
    test(`the schema refuses ${set}`, () => refused([...own, '--set', set], said));

  for (const [args, said] of [
    [[], /set secrets.existingSecret, or secrets.values/],
    [[...own, '--set', 'replicaCount=3'], /more than one replica needs a database/],
    [[...own, '--set', 'autoscaling.enabled=true'], /more than one replica needs a database/],
    [[...own, '--set', 'backup.enabled=true'], /set postgres.enabled/],
    [['--set', 'secrets.values.A=b', '--set', 'postgres.enabled=true'], /postgres needs a password/],
    [[...own, '--set', 'networkPolicy.enabled=true,service.type=LoadBalancer'], /leave service.type at ClusterIP/],
  ] as const)
    test(`it says what would not work: ${said.source}`, () => refused(args, said));

  test('is installed and upgraded; a change of the configuration restarts nothing', async () => {
    await using api = await startApiServer();
    for (const plural of ['servicemonitors', 'prometheusrules'])
      await api.shell(`kubectl create -f ${operatorDefinition(plural)}`);
    const call = (...args: readonly string[]) => helm([...args, '--namespace', 'hector'], api.kubeconfig);
    const generation = () => api.shell("kubectl get deployment hector -n hector -o jsonpath='{.metadata.generation}'");

    const notes = await call(
      'install',
      'hector',
      chart,
      '--create-namespace',
      '--values',
      valuesOf('basic'),
      ...secret,
    );
    assert.match(notes, /whoever reaches it may use the agents/);
    await call('upgrade', 'hector', chart, '--values', valuesOf('observability'), ...secret);
    const before = await generation();
    const change = ['--set', 'config.agents.second.llm=default'];
    await call('upgrade', 'hector', chart, '--values', valuesOf('observability'), ...secret, ...change);
    assert.match(await api.shell('kubectl get configmap hector-config -n hector -o yaml'), /second:/);
    assert.equal(await generation(), before);
    await call('rollback', 'hector', '1');
    await call('uninstall', 'hector');
    assert.match(await api.shell('kubectl get pvc -n hector -o name'), /hector-backup/, 'backups outlive the release');
  });
});
