import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { hectorImage } from '../services/hector-image.ts';
import { podman, podmanMissing } from '../services/podman.ts';
import { freePort } from '../services/service.ts';
import { answer, answerOf, connect, send, stream } from '../support/a2a-client.ts';
import { type Container, runContainer, serving, startContainer } from '../support/container.ts';
import { kubeletVolume, type MountedFiles } from '../support/kubelet-volume.ts';
import { sharedFolder } from '../support/shared-folder.ts';
import { until } from '../support/until.ts';

const slow = 'llms: { default: { provider: echo, delay: 60ms } }\n';
const words = Array.from({ length: 40 }, (_, i) => `word${i}`).join(' ');

/** As it is meant to run: nothing can be written to but /tmp and the volumes. Gives its URL on a port of its own. */
async function hardened(options: readonly string[], command: readonly string[]) {
  const port = await freePort();
  const container = await startContainer({
    image: await hectorImage(),
    options: [
      ...['--read-only', '--tmpfs', '/tmp', '--cap-drop=all', '--security-opt=no-new-privileges'],
      ...['--publish', `127.0.0.1:${port}:8080`, ...options],
    ],
    command,
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await serving(container, url);
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
  return { container, url, [Symbol.asyncDispose]: () => container[Symbol.asyncDispose]() };
}

/** A stream of two seconds and more; `during` is done when its fourth event is there. */
async function streaming(url: string, during: () => Promise<unknown>) {
  const events = [];
  let done: Promise<unknown> | undefined;
  for await (const event of stream(await connect(url), words)) {
    events.push(event);
    if (events.length === 4) done = during();
  }
  await done;
  assert.match(answerOf(events), /word39/);
  assert.equal(events.at(-1)?.statusUpdate?.status.state, 'TASK_STATE_COMPLETED');
}

describe('a container', { skip: podmanMissing }, () => {
  const written = async (t: TestContext, text: string) => {
    const folder = await sharedFolder(t);
    await writeFile(join(folder, 'config.yaml'), text);
    return folder;
  };

  test('`hector serve …`, `serve …` and nothing at all are the same', async (t) => {
    const folder = await written(t, 'llms: { default: { provider: echo } }\nagents: { here: {} }\n');
    const mount = ['--volume', `${join(folder, 'config.yaml')}:/app/config.yaml:ro`];
    for (const command of [
      ['hector', 'serve', '--config', '/app/config.yaml'],
      ['serve', '--config', '/app/config.yaml'],
      [],
    ]) {
      await using hector = await hardened(mount, command);
      assert.equal(answer(await send(await connect(hector.url, 'here'), 'hello')), 'hello', command.join(' '));
      const [first] = (await hector.container.exec('ps', '-o', 'pid,args')).split('\n').slice(1);
      assert.match(first ?? '', /^ +1 tini /);
    }
    // Without a configuration there is the model that needs none.
    await using bare = await hardened([], []);
    assert.equal(answer(await send(await connect(bare.url), 'hello')), 'hello');
  });

  test('other commands are commands of Hector, and a shell is a shell', async () => {
    const image = await hectorImage();
    assert.match(await runContainer({ image, command: ['version'] }), /^hector \d/);
    assert.match(await runContainer({ image, command: ['--version'] }), /\d+\.\d+/);
    assert.equal(await runContainer({ image, command: ['sh', '-c', 'echo $0 $1', 'a', 'b'] }), 'a b');
    await assert.rejects(runContainer({ image, command: ['sevre'] }), /sevre/);
  });

  test('its own health check and that of the guide say what the server says', async (t) => {
    const folder = await written(t, slow);
    // On some machines `localhost` is ::1 in the first place.
    await writeFile(join(folder, 'hosts'), '::1 localhost ip6-localhost\n127.0.0.1 localhost\n');
    await using hector = await hardened(
      ['--volume', `${folder}/config.yaml:/app/config.yaml:ro`, '--volume', `${folder}/hosts:/etc/hosts:ro`],
      [],
    );
    const guide = ['wget', '--no-verbose', '--tries=1', '--spider', 'http://localhost:8080/health'];
    await hector.container.exec(...guide);
    await podman('healthcheck', 'run', hector.container.name);
    assert.equal(await hector.container.inspect('{{.State.Health.Status}}'), 'healthy');
    await assert.rejects(hector.container.exec(...guide.slice(0, -1), 'http://localhost:8081/health'));

    // On another port; and one that does not answer any more is not healthy.
    await using moved = await startContainer({
      image: await hectorImage(),
      options: ['--env', 'HECTOR_PORT=9000'],
      command: ['serve', '--port', '9000'],
    });
    await until(async () => (await moved.log()).includes('serving'), 60_000);
    await podman('healthcheck', 'run', moved.name);
    await moved.exec('sh', '-c', 'kill -STOP $(pidof node)');
    await assert.rejects(podman('healthcheck', 'run', moved.name));
  });

  test('a SQLite database in the volume is there for the next container', async (t) => {
    const volume = `hector-test-${randomUUID()}`;
    t.after(() => podman('volume', 'rm', '--force', volume));
    const options = ['--volume', `${volume}:/app/.hector`];
    const command = ['serve', '--storage', 'sqlite'];
    let id: string;
    {
      await using hector = await hardened(options, command);
      ({ id } = await send(await connect(hector.url), 'remember'));
      assert.equal(await hector.container.stop(20), 0);
    }
    await using hector = await hardened(options, command);
    const { status } = await (await connect(hector.url)).getTask({ tenant: '', id, historyLength: undefined });
    assert.ok(status);
  });

  test('docker stop: a stream is read to its end, then the process ends with 0', async (t) => {
    const folder = await written(t, slow);
    await using hector = await hardened(['--volume', `${folder}/config.yaml:/app/config.yaml:ro`], []);
    let code: number | undefined;
    await streaming(hector.url, async () => {
      code = await hector.container.stop(25);
    });
    assert.equal(code, 0, await hector.container.log());
  });

  test('docker stop with less time than the work takes: the rest is a kill', async (t) => {
    const folder = await written(
      t,
      `llms: { default: { provider: echo, delay: 1h } }\nserver: { shutdown: { timeout: 1h } }\n`,
    );
    await using hector = await hardened(['--volume', `${folder}/config.yaml:/app/config.yaml:ro`], []);
    let started = false;
    const reading = (async () => {
      for await (const event of stream(await connect(hector.url), words)) if (event.artifactUpdate) started = true;
    })().catch((error: unknown) => error);
    await until(() => started);
    assert.equal(await hector.container.stop(1), 137);
    await reading;
  });

  test('what an MCP server leaves behind is buried', async () => {
    await using hector = await hardened([], []);
    await hector.container.exec('sh', '-c', '(sleep 0.3; :) >/dev/null 2>&1 &');
    await until(async () => !(await hector.container.exec('ps', '-o', 'stat,args')).includes('sleep'));
    assert.doesNotMatch(await hector.container.exec('ps', '-o', 'stat,args'), /^Z/m);
  });
});

describe('a ConfigMap and a Secret in a container', { skip: podmanMissing }, () => {
  const guarded = `
llms: { default: { provider: echo } }
server:
  auth: { enabled: true, api_keys: ["\${file:/run/secrets/hector/api-key}"] }
`;
  /** Both mounted as kubelet mounts them, and followed. */
  async function mounted(t: TestContext, config: MountedFiles, secrets: MountedFiles) {
    const [configs, keys] = [await kubeletVolume(config), await kubeletVolume(secrets)];
    for (const volume of [configs, keys]) t.after(() => volume[Symbol.asyncDispose]());
    const hector = await hardened(
      ['--volume', `${configs.folder}:/etc/hector:ro`, '--volume', `${keys.folder}:/run/secrets/hector:ro`],
      ['serve', '--config', '/etc/hector/config.yaml', '--watch'],
    );
    return { ...hector, putConfig: configs.update, putSecret: keys.update };
  }
  const started = (container: Container) => container.inspect('{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}');

  test('a new version is served without a restart, and drops no stream', async (t) => {
    const plain = (agent: string) => ({ 'config.yaml': `${slow}agents: { assistant: {}, ${agent}: {} }\n` });
    await using hector = await mounted(t, plain('first'), {});
    const before = await started(hector.container);
    await streaming(hector.url, async () => {
      await hector.putConfig(plain('second'));
      await until(async () => (await fetch(`${hector.url}/agents/second/.well-known/agent-card.json`)).status === 200);
      await hector.putConfig(plain('third'));
      await until(async () => (await fetch(`${hector.url}/agents/third/.well-known/agent-card.json`)).status === 200);
    });
    assert.equal((await fetch(`${hector.url}/agents/first/.well-known/agent-card.json`)).status, 404);
    // A version with an error in it changes nothing.
    await hector.putConfig({ 'config.yaml': 'agents: { assistant: { llm: nope } }\n' });
    await until(async () => (await hector.container.log()).includes('refused a configuration'));
    assert.equal((await fetch(`${hector.url}/agents/third/.well-known/agent-card.json`)).status, 200);
    assert.equal(await started(hector.container), before);
  });

  test('a secret that is rotated takes the place of the old one', async (t) => {
    const key = (name: string) => ({ 'api-key': `a-long-key-of-${name}` });
    await using hector = await mounted(t, { 'config.yaml': guarded }, key('monday'));
    const status = async (name: string) => {
      const headers = { 'X-API-Key': key(name)['api-key'], 'content-type': 'application/json', 'a2a-version': '1.0' };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ListTasks', params: {} });
      return (await fetch(`${hector.url}/agents/assistant`, { method: 'POST', headers, body })).status;
    };
    const before = await started(hector.container);
    assert.deepEqual([await status('monday'), await status('tuesday')], [200, 401]);
    await hector.putSecret(key('tuesday'));
    await until(async () => (await status('tuesday')) === 200);
    assert.equal(await status('monday'), 401);
    assert.equal(await started(hector.container), before);
    assert.doesNotMatch(await hector.container.log(), /a-long-key-of/);
  });
});
