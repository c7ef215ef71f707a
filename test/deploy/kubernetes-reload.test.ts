import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { ConfigStatus } from '../../core/config/status.ts';
import { consulMissing, startConsul } from '../services/consul.ts';
import { kubectlMissing } from '../services/kubectl.ts';
import { freePort } from '../services/service.ts';
import { answerOf, connect, stream } from '../support/a2a-client.ts';
import { command } from '../support/command-line.ts';
import { startHector } from '../support/hector.ts';
import { kubeletVolume } from '../support/kubelet-volume.ts';
import { type Manifest, manifestOf } from '../support/manifests.ts';
import { until } from '../support/until.ts';
import { variablesOf } from './configuration.ts';
import { kustomized } from './kustomize.ts';

/** The container's own arguments, with the folders of its mounts elsewhere. `serve` is what startHector begins with. */
function argumentsOf(container: Manifest['spec'], mounts: Readonly<Record<string, string>>): readonly string[] {
  for (const path of Object.keys(mounts)) {
    const [mount] = container.volumeMounts.filter(({ mountPath }: { mountPath: string }) => mountPath === path);
    assert.ok(mount && !('subPath' in mount), `${path} is mounted as a folder`);
  }
  const [serve, ...rest] = (container.args as string[]).map((each) =>
    Object.entries(mounts).reduce((text, [from, to]) => text.replace(from, to), each),
  );
  assert.equal(serve, 'serve');
  return rest;
}
const containerOf = (manifests: readonly Manifest[]) =>
  manifestOf(manifests, 'Deployment', 'hector')['spec'].template.spec.containers[0];
const configOf = (manifests: readonly Manifest[]): string =>
  manifestOf(manifests, 'ConfigMap', 'hector-config')['data']['config.yaml'];

const agentsOf = async (url: string) => {
  const { agents } = (await (await fetch(`${url}/agents`)).json()) as { agents: { name: string }[] };
  return agents.map(({ name }) => name).sort();
};
const serves = async (url: string, ...names: readonly string[]) => (await agentsOf(url)).join() === names.join();

describe('in a pod', { skip: kubectlMissing }, () => {
  test('an edit of the ConfigMap is swapped in under a stream that goes on; a wrong one is refused', async () => {
    const manifests = await kustomized('overlays/basic');
    const container = containerOf(manifests);
    const admin = await freePort();
    const edited = (change: (document: ReturnType<typeof parse>) => void) => {
      const document = parse(configOf(manifests));
      document.llms.default = { provider: 'echo', delay: '60ms' };
      document.server.admin.port = admin;
      change(document);
      return { 'config.yaml': stringify(document) };
    };
    await using config = await kubeletVolume(edited(() => {}));
    const args = argumentsOf(container, { '/etc/hector': config.folder });
    await using hector = await startHector({ args, env: variablesOf(manifests) });
    for (const { httpGet } of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      assert.equal((await fetch(`${hector.url}${httpGet.path}`)).status, 200, httpGet.path);
    const status = async () =>
      (await (await fetch(`http://127.0.0.1:${admin}/api/config/status`)).json()) as ConfigStatus;
    assert.equal((await fetch(`${hector.url}/metrics`)).status, 404, 'not where the callers of agents come in');
    const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    assert.match(metrics, /hector_build_info/);

    const words = Array.from({ length: 40 }, (_, at) => `word${at}`).join(' ');
    const events = [];
    for await (const event of stream(await connect(hector.url, 'assistant'), words)) {
      events.push(event);
      if (events.length !== 4) continue;
      await config.update(edited(({ agents }) => Object.assign(agents, { second: { llm: 'default' } })));
      await until(() => serves(hector.url, 'assistant', 'second'), 30_000);
    }
    assert.match(answerOf(events), /word0 .* word39/s);
    assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');

    await config.update(edited(({ agents }) => Object.assign(agents, { third: { llm: 'nope' } })));
    await until(async () => (await status()).state === 'rejected', 30_000);
    assert.match((await status()).error?.message ?? '', /no LLM is named "nope"/);
    assert.deepEqual(await agentsOf(hector.url), ['assistant', 'second']);
    assert.equal((await fetch(`${hector.url}${container.readinessProbe.httpGet.path}`)).status, 200);

    const third = edited(({ agents }) => Object.assign(agents, { third: { llm: 'default' } }));
    await config.update(third);
    await until(() => serves(hector.url, 'assistant', 'third'), 30_000);
    const hash = createHash('sha256').update(third['config.yaml']).digest('hex');
    assert.equal((await status()).serving?.content_hash, hash, 'what docs/deployment-kubernetes.md has compared');
    assert.equal(hector.process.exitCode, null, 'it is the process that was started');
  });

  test('with Consul: pushes are followed, and a token that is replaced in the Secret needs no restart', {
    skip: consulMissing,
  }, async () => {
    const manifests = await kustomized('overlays/consul');
    const container = containerOf(manifests);
    await using consul = await startConsul({ acl: true });
    // What docs/providers/consul.md says is enough for serving, and for telling that one is there.
    const rules = `key "hector/production/config" { policy = "read" }
      key_prefix "hector/production/config.annex/" { policy = "write" }
      session_prefix "" { policy = "write" }`;
    const [old, next] = [await consul.token(rules), await consul.token(rules)];
    await using token = await kubeletVolume({ token: old });
    const text = configOf(manifests).replace('/run/secrets/consul', token.folder).replace('port: 9090', 'port: 0');
    assert.ok(text.includes(token.folder));
    await using config = await kubeletVolume({ 'config.yaml': text });

    const push = async (...names: readonly string[]) => {
      const agents = Object.fromEntries(names.map((name) => [name, { llm: 'default' }]));
      const document = { llms: { default: { provider: 'echo' } }, agents };
      const env = { HECTOR_CONFIG_ADDRESS: consul.address, CONSUL_HTTP_TOKEN: consul.rootToken ?? '' };
      const flags = ['--config-provider', 'consul', '--config-key', 'hector/production/config'];
      const files = { 'next.yaml': stringify(document) };
      const { code, stderr } = await command(['config', 'push', 'next.yaml', ...flags], { files, env });
      assert.equal(code, 0, stderr);
    };
    await push('first');
    const args = argumentsOf(container, { '/etc/hector': config.folder });
    const env = { ...variablesOf(manifests), HECTOR_CONFIG_ADDRESS: consul.address };
    await using hector = await startHector({ args, env });
    assert.deepEqual(await agentsOf(hector.url), ['first']);

    await token.update({ token: next });
    await consul.api('DELETE', `acl/token/${await accessorOf(consul, old)}`);
    await push('first', 'second');
    await until(() => serves(hector.url, 'first', 'second'), 30_000);
  });
});

async function accessorOf(consul: Awaited<ReturnType<typeof startConsul>>, secret: string): Promise<string> {
  const tokens = JSON.parse((await consul.api('GET', 'acl/tokens')).toString()) as Record<string, string>[];
  const found = tokens.find(({ SecretID }) => SecretID === secret)?.['AccessorID'];
  assert.ok(found);
  return found;
}
