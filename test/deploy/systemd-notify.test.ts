import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { consulMissing, startConsul } from '../services/consul.ts';
import { systemdMissing } from '../services/systemd.ts';
import { cleanEnvironment, type Hector, startHector } from '../support/hector.ts';
import { type Notification, notifySocket } from '../support/notify-socket.ts';
import { until } from '../support/until.ts';

const cli = join(import.meta.dirname, '../../dist/server/cli.js');
const config = (agent: string) => `
llms: { default: { provider: echo } }
agents: { ${agent}: {} }
server: { shutdown: { timeout: 7s } }
`;

/** `hector reload`, as systemd runs it: it knows the process and the folder. */
async function reload(hector: Hector, folder: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [cli, 'reload', String(hector.process.pid)], {
    env: cleanEnvironment({ RUNTIME_DIRECTORY: folder }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('what systemd is told', { skip: systemdMissing }, () => {
  test('from the start over reloads to the end, in order', async () => {
    await using socket = await notifySocket();
    const folder = await mkdtemp(join(tmpdir(), 'hector-run-'));
    try {
      await using hector = await startHector({
        config: config('first'),
        env: { NOTIFY_SOCKET: socket.path, RUNTIME_DIRECTORY: folder },
      });
      const file = join(hector.folder, 'config.yaml');
      const last = () => socket.received().at(-1);
      await until(() => last()?.['READY'] === '1');
      assert.equal(socket.received().length, 1);
      assert.match(last()?.['STATUS'] ?? '', /^Serving generation 1 of .*config\.yaml \([0-9a-f]{12}\)$/);

      // When it returns, everything is done: nothing is waited for here.
      let heard = 1;
      const since = (): readonly Notification[] => {
        const news = socket.received().slice(heard);
        heard = socket.received().length;
        return news;
      };
      await writeFile(file, config('second'));
      const good = await reload(hector, folder);
      assert.equal(good.code, 0, good.output);
      assert.match(good.output, /^Now generation 2 \([0-9a-f]{12}\) serves\.\n$/);
      let news = since();
      assert.equal(news[0]?.['RELOADING'], '1');
      assert.ok(BigInt(news[0]?.['MONOTONIC_USEC'] ?? '') <= process.hrtime.bigint() / 1_000n);
      assert.equal(news.at(-1)?.['READY'], '1');
      assert.match(news.at(-1)?.['STATUS'] ?? '', /^Serving generation 2 /);
      assert.equal((await fetch(`${hector.url}/agents/second/.well-known/agent-card.json`)).status, 200);

      const same = await reload(hector, folder);
      assert.equal(same.code, 0, same.output);
      assert.match(same.output, /^Nothing has changed: generation 2 /);
      assert.equal(since().at(-1)?.['READY'], '1');

      await writeFile(file, 'agents: { third: { llm: nowhere } }\n');
      const bad = await reload(hector, folder);
      assert.equal(bad.code, 1, bad.output);
      assert.match(bad.output, /^error: The configuration is refused: .*nowhere/);
      news = since();
      assert.equal(news[0]?.['RELOADING'], '1');
      assert.equal(news.at(-1)?.['READY'], '1', 'what served before serves on');
      assert.match(news.at(-1)?.['STATUS'] ?? '', /^Serving generation 2 .*; a newer one is refused: .*nowhere/);
      assert.equal((await fetch(`${hector.url}/agents/second/.well-known/agent-card.json`)).status, 200);

      assert.equal(await hector.stop(), 0);
      const [end, ...more] = since();
      assert.equal(end?.['STOPPING'], '1');
      assert.equal(end?.['EXTEND_TIMEOUT_USEC'], '22000000', 'the time of the configuration, and some');
      assert.deepEqual(more, []);
      assert.equal(socket.received().filter((each) => each['READY'] === '1').length, 4);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('that it is refused by watching shows in the status, too, on one line', async () => {
    await using socket = await notifySocket();
    await using hector = await startHector({
      config: config('first'),
      args: ['--watch'],
      env: { NOTIFY_SOCKET: socket.path },
    });
    await writeFile(join(hector.folder, 'config.yaml'), 'agents: { third: { llm: "no\\nREADY=0" } }\n');
    await until(() => socket.received().some((each) => /a newer one is refused/.test(each['STATUS'] ?? '')));
    for (const each of socket.received())
      assert.deepEqual(
        Object.keys(each).filter((key) => key === 'READY=0'),
        [],
      );
    assert.equal(socket.received().filter((each) => 'READY' in each).length, 1);
  });

  const unready =
    'without a configuration to serve it is not ready, asks for time, and is ready as soon as there is one';
  test(unready, { skip: consulMissing }, async () => {
    await using consul = await startConsul();
    await using socket = await notifySocket();
    const source = ['--config-provider', 'consul', '--config-address', consul.address, '--config-key', 'hector'];
    await using hector = await startHector({
      args: [...source, '--watch'],
      env: { NOTIFY_SOCKET: socket.path },
      ready: 'consul',
    });
    await until(() => socket.received().some((each) => /^Waiting for a configuration/.test(each['STATUS'] ?? '')));
    assert.ok(socket.received().some((each) => each['EXTEND_TIMEOUT_USEC'] === '60000000'));
    assert.ok(!socket.received().some((each) => 'READY' in each));
    await consul.put('hector', config('first'));
    await until(() => socket.received().some((each) => each['READY'] === '1'));
    await until(() => /^Serving generation 1 /.test(socket.received().at(-1)?.['STATUS'] ?? ''));
    assert.equal(await hector.stop(), 0);
  });

  test('whoever Hector starts does not speak in its name', async () => {
    await using socket = await notifySocket();
    const plugin = `import { spawnSync } from 'node:child_process';
      const { status } = spawnSync('systemd-notify', ['STATUS=I am Hector'], { env: process.env });
      if (status === 0) throw new Error('it was heard');
      export default { apiVersion: 1, name: 'test/loud', provides: [] };`;
    await using hector = await startHector({
      config: `plugins: [./loud.mjs]\n${config('first')}`,
      files: { 'loud.mjs': plugin },
      env: { NOTIFY_SOCKET: socket.path },
    });
    await until(() => socket.received().length === 1);
    assert.match(socket.received()[0]?.['STATUS'] ?? '', /^Serving generation 1 /);
    assert.equal(await hector.stop(), 0);
  });
});

describe('that systemd cannot be told is one warning, and Hector serves and ends as ever', () => {
  const told = (hector: Hector) => hector.stderr().split('systemd cannot be told').length - 1;

  for (const [why, path] of [
    ['there is no systemd-notify', '/nowhere'],
    ['it fails', undefined],
  ] as const) {
    test(why, { skip: path === undefined && systemdMissing }, async () => {
      await using hector = await startHector({
        config: config('first'),
        args: ['--log-format', 'json'],
        env: { NOTIFY_SOCKET: '/nowhere/socket', ...(path !== undefined && { PATH: path }) },
      });
      await until(() => told(hector) === 1);
      hector.process.kill('SIGHUP');
      await until(() => hector.stderr().includes('SIGHUP'));
      assert.equal((await fetch(`${hector.url}/health/ready`)).status, 200);
      assert.equal(await hector.stop(), 0);
      assert.equal(told(hector), 1);
    });
  }

  test('it hangs: the end does not wait for it', async () => {
    const bin = await mkdtemp(join(tmpdir(), 'hector-bin-'));
    try {
      await mkdir(bin, { recursive: true });
      await writeFile(join(bin, 'systemd-notify'), '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
      await using hector = await startHector({
        config: config('first'),
        env: { NOTIFY_SOCKET: '/nowhere/socket', PATH: `${bin}:${process.env['PATH']}` },
      });
      assert.equal((await fetch(`${hector.url}/health/ready`)).status, 200);
      assert.equal(await hector.stop(), 0);
      // It is given longer than that before it counts as failed.
      assert.equal(told(hector), 0);
    } finally {
      await rm(bin, { recursive: true, force: true });
    }
  });
});

test('hector reload without systemd says what to do instead', async () => {
  const child = spawn(process.execPath, [cli, 'reload', '1'], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 2);
  assert.match(output, /RuntimeDirectory=.*kill -HUP/);
});
