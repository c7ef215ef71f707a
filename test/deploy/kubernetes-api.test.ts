import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ApiServer, apiServerMissing, startApiServer } from '../services/kube-apiserver.ts';
import { operatorDefinition } from '../services/kubernetes.ts';
import { podTemplates } from '../support/manifest-references.ts';
import { kustomized, overlays } from './kustomize.ts';

const pathOf = (overlay: string) => `deploy/kubernetes/overlays/${overlay}`;
const wrong = async (work: Promise<unknown>, said: RegExp) =>
  assert.rejects(work, (error: { stderr: string }) => {
    assert.match(error.stderr, said);
    return true;
  });

describe('a real API server', { skip: apiServerMissing }, () => {
  let api: ApiServer;
  before(async () => {
    api = await startApiServer();
    for (const plural of ['servicemonitors', 'prometheusrules'])
      await api.shell(`kubectl create -f ${operatorDefinition(plural)}`);
  });
  after(() => api[Symbol.asyncDispose]());

  for (const overlay of overlays) {
    test(`takes ${overlay}, and has then what the files say`, async () => {
      const path = pathOf(overlay);
      await api.shell(`kubectl apply --dry-run=client --validate=strict -k ${path}`);
      const said = await api.shell(`kubectl apply -k ${path}`);
      assert.equal(said.trim().split('\n').length, (await kustomized(`overlays/${overlay}`)).length);
      assert.equal(await api.shell(`kubectl diff -k ${path}`), '');
    });

    test(`${overlay}: its pods keep to what the namespace enforces`, async () => {
      const manifests = await kustomized(`overlays/${overlay}`);
      // What the controllers of a cluster make.
      await api.shell('kubectl -n hector create serviceaccount default --dry-run=client -o yaml | kubectl apply -f -');
      const templates = podTemplates([...manifests, ...(await kustomized('restore'))]);
      for (const { owner, labels, spec } of templates) {
        const create = async (of: object) => {
          const pod = {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name: 'pod', namespace: 'hector', labels },
            spec: of,
          };
          const file = join(api.folder, 'pod.json');
          await writeFile(file, JSON.stringify(pod));
          return await api.shell(`kubectl create --dry-run=server -f ${file}`);
        };
        // The controller of StatefulSets adds volumes for its claims.
        const claims = (owner['spec'].volumeClaimTemplates ?? []).map(({ metadata }: typeof owner) => ({
          name: metadata.name,
          persistentVolumeClaim: { claimName: metadata.name },
        }));
        const whole = { ...spec, volumes: [...spec.volumes, ...claims] };
        assert.match(await create(whole), /pod\/pod created/);
        await wrong(create({ ...whole, securityContext: {} }), /violates PodSecurity "restricted/);
        const [container] = whole.containers;
        await wrong(create({ ...whole, containers: [{ ...container, securityContext: {} }] }), /violates PodSecurity/);
      }
    });
  }

  test('refuses a field that it does not know', async () => {
    const rendered = `kubectl kustomize ${pathOf('observability')}`;
    for (const [from, to] of [
      ['readinessProbe:', 'readinesProbe:'],
      ['jobLabel:', 'jobLable:'],
    ])
      await wrong(
        api.shell(`${rendered} | sed 's/${from}/${to}/' | kubectl apply -f -`),
        /unknown field|strict decoding/,
      );
  });

  test("the guide's commands do what it says of them", async () => {
    await api.shell(`kubectl apply -k ${pathOf('postgres')}`);
    const get = (what: string, path: string) => api.shell(`kubectl get ${what} -n hector -o jsonpath='{${path}}'`);

    await api.shell('kubectl scale deployment hector --replicas=5 -n hector');
    assert.equal(await get('deployment/hector', '.spec.replicas'), '5');

    const generation = () => get('deployment/hector', '.metadata.generation');
    const before = await generation();
    await api.shell('kubectl edit configmap hector-config -n hector', { KUBE_EDITOR: 'sed -i s/gpt-4o/gpt-5/' });
    assert.match(await get('configmap/hector-config', '.data.config\\.yaml'), /model: gpt-5$/m);
    assert.equal(await generation(), before, 'no pod is restarted');

    await api.shell('kubectl rollout restart deployment/hector -n hector');
    assert.notEqual(await generation(), before);

    await api.shell('kubectl create job backup-now --from=cronjob/hector-backup -n hector');
    await api.shell('kubectl create -k deploy/kubernetes/restore');
    assert.match(await api.shell('kubectl get jobs -n hector -o name'), /backup-now\n.*hector-restore/);
  });
});
