import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Service } from '../services/service.ts';
import { startZookeeper, type ZooKeeperTool, zookeeperMissing, zookeeperTool } from '../services/zookeeper.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const skip = await zookeeperMissing();

describe('zookeeper, in processes that end', { skip: skip ?? false }, () => {
  let server: Service;
  let tool: ZooKeeperTool;
  before(async () => {
    server = await startZookeeper();
    tool = await zookeeperTool(server.port);
  });
  after(async () => {
    await tool[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  /** A process of its own, that announces and then does what it is told. */
  const startProcess = (options: object, then: string) => {
    const script = `
      import plugin from './providers/zookeeper.ts';
      import { createInstance, extensionContext } from './test/support/extension.ts';
      const provider = await createInstance(plugin, ${JSON.stringify(options)}, extensionContext());
      provider.annex.announce('replicas/one', 'up');
      const stop = new AbortController();
      const documents = provider.watch(stop.signal)[Symbol.asyncIterator]();
      ${then}`;
    return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  };

  test('what a process has announced goes when it is killed', async () => {
    const path = '/faults/holder';
    const child = startProcess({ address: `127.0.0.1:${server.port}`, key: path }, '');
    const exited = once(child, 'exit');
    try {
      await until(async () => (await tool.get(`${path}.annex/replicas/one`)) === 'up', 30_000);
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
    await until(async () => (await tool.get(`${path}.annex/replicas/one`)) === undefined, 60_000);
  });

  test('nothing is left after dispose: a process ends by itself', async () => {
    await tool.put('/faults/end', 'n: 0');
    await using proxy = await startTcpProxy(server.port);
    const dispose = 'stop.abort(); await documents.return(); await provider[Symbol.asyncDispose]();';
    const scenes: readonly [string, string, () => void][] = [
      ['served', `await documents.next(); ${dispose}`, () => proxy.heal()],
      ['refused', `await documents.next().catch(() => {}); ${dispose}`, () => proxy.cut()],
      ['silent', `const next = documents.next(); ${dispose} await next.catch(() => {});`, () => proxy.blackhole()],
    ];
    for (const [name, then, prepare] of scenes) {
      proxy.heal();
      prepare();
      const child = startProcess({ address: `127.0.0.1:${proxy.port}`, key: '/faults/end' }, then);
      const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
      const [code, signal] = await once(child, 'exit');
      clearTimeout(killer);
      assert.deepEqual([name, code, signal], [name, 0, null]);
    }
  });
});
