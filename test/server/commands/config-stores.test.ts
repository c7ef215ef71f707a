import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { contentHash } from '../../../core/config/content-hash.ts';
import { history } from '../../../core/config/revisions.ts';
import type { ConfigDocument, ConfigProvider } from '../../../core/extension/config-provider.ts';
import consulPlugin from '../../../providers/consul.ts';
import etcdPlugin from '../../../providers/etcd.ts';
import zookeeperPlugin from '../../../providers/zookeeper.ts';
import { diffCommand } from '../../../server/commands/config/diff.ts';
import { pullCommand } from '../../../server/commands/config/pull.ts';
import { pushCommand } from '../../../server/commands/config/push.ts';
import { rollbackCommand } from '../../../server/commands/config/rollback.ts';
import { statusCommand } from '../../../server/commands/config/status.ts';
import { consulMissing, startConsul } from '../../services/consul.ts';
import { etcdMissing, startEtcd } from '../../services/etcd.ts';
import { startZookeeper, zookeeperMissing } from '../../services/zookeeper.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';
import { sourceOver } from '../../support/kept-in-memory.ts';
import { until } from '../../support/until.ts';

interface Server extends AsyncDisposable {
  open(key: string): Promise<ConfigProvider>;
}

const context = () => extensionContext<'config'>();
const stores = [
  {
    name: 'etcd',
    missing: etcdMissing,
    async start(): Promise<Server> {
      const etcd = await startEtcd();
      const open = (key: string) => createInstance<'config'>(etcdPlugin, { address: etcd.url, key }, context());
      return { open, [Symbol.asyncDispose]: () => etcd[Symbol.asyncDispose]() };
    },
  },
  {
    name: 'consul',
    missing: consulMissing,
    async start(): Promise<Server> {
      const consul = await startConsul();
      const open = (key: string) => createInstance<'config'>(consulPlugin, { address: consul.address, key }, context());
      return { open, [Symbol.asyncDispose]: () => consul[Symbol.asyncDispose]() };
    },
  },
  {
    name: 'zookeeper',
    missing: await zookeeperMissing(),
    async start(): Promise<Server> {
      const zookeeper = await startZookeeper();
      const address = `127.0.0.1:${zookeeper.port}`;
      const open = (key: string) => createInstance<'config'>(zookeeperPlugin, { address, key: `/${key}` }, context());
      return { open, [Symbol.asyncDispose]: () => zookeeper[Symbol.asyncDispose]() };
    },
  },
];

const { signal } = new AbortController();
const flags = { format: 'pretty', timeoutMs: 20_000 } as const;
const base = '# base\nllms: { default: { provider: echo } }\nagents:\n  writer: { instruction: Write. }\n';
const better = base.replace('Write.', 'Write well.');

function sourceOf(provider: ConfigProvider, keep = 10) {
  const read = async (): Promise<ConfigDocument> => {
    const done = new AbortController();
    try {
      for await (const document of provider.watch(done.signal)) return document;
    } finally {
      done.abort();
    }
    throw new Error('it yielded nothing');
  };
  const now = (): never => assert.fail('this source is read');
  return { ...sourceOver({ provider: provider as never, now }, keep), read };
}

for (const store of stores) {
  describe(`hector config, kept in ${store.name}`, { skip: store.missing ?? false }, () => {
    let server: Server;
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hector-config-'));
      server = await store.start();
    });
    after(async () => {
      await server?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });
    let count = 0;
    const file = async (text: string) => {
      const path = join(folder, `${++count}.yaml`);
      await writeFile(path, text);
      return path;
    };

    for (const key of ['fleet/config', 'fleet/parts/']) {
      test(`push, pull, diff, history and rollback of ${key}`, async () => {
        const provider = await server.open(key);
        try {
          const source = sourceOf(provider, 2);
          const push = async (text: string) => (await pushCommand(source, await file(text), flags, signal)).code;
          assert.equal(await push(base), 0);
          const diff = await diffCommand(source, await file(better), flags, signal);
          assert.equal(diff.code, 1);
          assert.match(diff.stdout ?? '', /~ agent writer: instruction\n/);
          assert.equal(await push(better), 0);
          assert.equal((await diffCommand(source, await file(better), flags, signal)).code, 0);
          const { stdout } = await pullCommand(source, {}, signal);
          assert.equal((await pushCommand(source, await file(stdout ?? ''), flags, signal)).code, 0);
          if (!key.endsWith('/')) assert.equal(stdout, better);

          const back = await rollbackCommand(source, undefined, flags, signal);
          assert.equal(back.code, 0);
          assert.match((await pullCommand(source, {}, signal)).stdout ?? '', /Write\./);
          for (let round = 0; round < 3; round++) await push(`${base}name: n${round}\n`);
          const entries = await history(provider, signal);
          assert.equal(entries.length, 3);
          assert.equal(entries[0]?.revision, (await source.read()).revision);
        } finally {
          await provider[Symbol.asyncDispose]?.();
        }
      });

      test(`two pushes at once to ${key}: one wins, the other ends with 3`, async () => {
        const [a, b] = [await server.open(`two/${key}`), await server.open(`two/${key}`)];
        try {
          assert.equal((await pushCommand(sourceOf(a), await file(base), flags, signal)).code, 0);
          let waiting = 0;
          let go = () => {};
          const both = new Promise<void>((resolve) => {
            go = resolve;
          });
          const results = await Promise.all(
            [a, b].map(async (provider, index) => {
              const source = sourceOf(provider);
              const gated = {
                ...provider,
                async write(...args: Parameters<NonNullable<ConfigProvider['write']>>) {
                  if (++waiting === 2) go();
                  await both;
                  return (provider.write as NonNullable<ConfigProvider['write']>)(...args);
                },
              };
              const path = await file(base.replace('Write.', `Write ${index}.`));
              return pushCommand({ ...source, provider: gated }, path, flags, signal);
            }),
          );
          assert.deepEqual(results.map(({ code }) => code).sort(), [0, 3]);
          const loser = results.find(({ code }) => code === 3)?.stderr ?? '';
          assert.match(loser, /~ agent writer: instruction\nNothing was written/);
          const winner = results.findIndex(({ code }) => code === 0);
          assert.match((await pullCommand(sourceOf(b), {}, signal)).stdout ?? '', new RegExp(`Write ${winner}\\.`));
        } finally {
          await a[Symbol.asyncDispose]?.();
          await b[Symbol.asyncDispose]?.();
        }
      });
    }

    test('push --wait and status see what a replica announces, and that it is gone', async () => {
      const [provider, replica] = [await server.open('seen/config'), await server.open('seen/config')];
      try {
        const source = sourceOf(provider);
        const status = (text: string) =>
          JSON.stringify({
            instance: 'pod-a',
            state: 'current',
            watching: true,
            serving: {
              revision: '?',
              content_hash: contentHash({ text }),
              generation: 1,
              at: new Date().toISOString(),
              restart_required: [],
            },
          });
        const announcement = replica.annex?.announce?.('replicas/pod-a', status('nothing'));
        assert.ok(announcement);
        await until(async () => /pod-a/.test((await statusCommand(source, flags, signal)).stdout ?? ''), 20_000);
        const pushing = pushCommand(source, await file(base), { ...flags, wait: true }, signal);
        await until(async () => (await source.read()).missing !== true, 20_000);
        announcement.update(status(base));
        assert.deepEqual(await pushing.then(({ code, stderr }) => [code, stderr]), [0, 'The one replica runs it.\n']);
        assert.equal((await statusCommand(source, flags, signal)).code, 0);
        await announcement[Symbol.asyncDispose]();
        await until(async () => !/pod-a/.test((await statusCommand(source, flags, signal)).stdout ?? ''), 20_000);
      } finally {
        await provider[Symbol.asyncDispose]?.();
        await replica[Symbol.asyncDispose]?.();
      }
    });
  });
}
