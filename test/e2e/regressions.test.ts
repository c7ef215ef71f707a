import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash } from '../../core/config/content-hash.ts';
import type { ConfigStatus } from '../../core/config/status.ts';
import { answerOf, connect, stream } from '../support/a2a-client.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { type StoreKind, storeKinds } from '../support/stores.ts';
import { until } from '../support/until.ts';
import { configProviderOf, StoreWriter, storeProviderOf } from '../support/watched-store.ts';
import { watching } from '../support/watching.ts';

const agents = (...names: readonly string[]) =>
  `llms: { default: { provider: echo } }\nagents:\n${names.map((name) => `  ${name}: {}\n`).join('')}`;
const statusOf = async ({ url }: Hector) => (await (await fetch(`${url}/api/config/status`)).json()) as ConfigStatus;
const agentsOf = async ({ url }: Hector) => {
  const { agents: served } = (await (await fetch(`${url}/agents`)).json()) as { agents: readonly { name: string }[] };
  return served.map(({ name }) => name).sort();
};
const metric = async ({ url }: Hector, name: RegExp) =>
  (await (await fetch(`${url}/metrics`)).text()).split('\n').filter((line) => name.test(line));

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hector-regressions-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

const key = 'hector/prod/config';

async function openStore(kind: StoreKind) {
  const store = await kind.start();
  const writer = new StoreWriter(kind, store);
  return {
    store,
    writer,
    provider: () => storeProviderOf(kind, store, key, store.service.port),
    async [Symbol.asyncDispose]() {
      await writer[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

describe('what other runtimes got wrong', { concurrency: true }, () => {
  for (const kind of storeKinds)
    describe(`on ${kind.name}`, { skip: kind.missing }, () => {
      test('the watch lives on after its key was deleted, and after its connections were cancelled', async () => {
        await using at = await openStore(kind);
        await at.writer.put(key, 'name: n0\n');
        await using watched = watching({ provider: await at.provider(), source: `${kind.name}:${key}` });
        await watched.watcher.start();
        for (let round = 1; round <= 5; round++) {
          await at.writer.put(key, undefined);
          await until(() => watched.watcher.status().error?.code === 'config_missing');
          await at.writer.put(key, `name: n${round}\n`);
          await until(() => watched.serving() === `n${round}`, 20_000);
        }
        await at.writer.restart(100);
        await at.writer.put(key, 'name: after\n');
        await until(() => watched.serving() === 'after', 30_000);
      });

      test('a write between the load and the watch is not lost', async () => {
        await using at = await openStore(kind);
        for (let round = 0; round < 5; round++) {
          await at.writer.put(key, `name: before-${round}\n`);
          await using watched = watching({
            provider: await at.provider(),
            source: `${kind.name}:${key}`,
            // While the first is built nothing is followed yet.
            apply: async ({ config }) => {
              if (config.name === `before-${round}`) await at.writer.put(key, `name: between-${round}\n`);
              return 1;
            },
          });
          await watched.watcher.start();
          await until(() => watched.serving() === `between-${round}`, 20_000);
        }
      });

      /** HECTOR_LONG_TESTS makes it a minute. */
      const writingMs = process.env['HECTOR_LONG_TESTS'] === undefined ? 4_000 : 60_000;
      test(`a writer at 50 writes a second for ${writingMs / 1_000} s costs one reload a window, and the last serves`, async () => {
        await using at = await openStore(kind);
        const throttleMs = 1_000;
        await at.writer.put(key, 'name: n0\n');
        await using watched = watching({
          provider: await at.provider(),
          source: `${kind.name}:${key}`,
          times: { debounceMs: 100, maxDebounceMs: 2_000, throttleMs },
        });
        await watched.watcher.start();
        const started = performance.now();
        let count = 0;
        while (performance.now() - started < writingMs) {
          await at.writer.put(key, `name: n${++count}\n`);
          await sleep(started + count * 20 - performance.now());
        }
        await until(() => watched.serving() === `n${count}`, 20_000);
        const windows = Math.ceil((performance.now() - started) / throttleMs);
        const reloads = watched.applied.length - 1;
        assert.ok(reloads >= 1 && reloads <= windows + 1, `${reloads} reloads in ${windows} windows, ${count} writes`);
      });
    });

  describe('while nothing changes', { concurrency: storeKinds.length }, () => {
    for (const kind of storeKinds)
      test(`on ${kind.name}, whose queries end and whose lists are read again, nothing is reloaded`, {
        skip: kind.missing,
      }, async () => {
        await using at = await openStore(kind);
        await at.writer.put(key, 'name: quiet\n');
        await using watched = watching({ provider: await at.provider(), source: `${kind.name}:${key}` });
        await watched.watcher.start();
        // A store may take longer for its first answer than a start waits.
        await until(() => watched.serving() === 'quiet', 20_000);
        const { last_contact: first = '' } = watched.watcher.status();
        // Its queries end and its lists are read again several times in this.
        await until(() => Date.parse(watched.watcher.status().last_contact ?? '') - Date.parse(first) > 8_000, 80_000);
        assert.deepEqual(watched.results(), ['success']);
        await at.writer.put(key, 'name: quiet # as before\n');
        await until(() => watched.results().length === 2, 20_000);
        assert.deepEqual(watched.results(), ['success', 'noop']);
      });
  });

  describe('on a file', () => {
    const document = `version: "2"
name: whole
llms:
  default: { provider: echo }
agents:
${Array.from({ length: 35 }, (_, at) => `  agent-${at}:\n    description: The agent with the number ${at}, of 35 that are here in all, and its words\n    tools: []\n`).join('')}`;

    test('cut off at every byte and completed, in place or by a rename, it ends on the whole', {
      timeout: 120_000,
    }, async (t) => {
      assert.ok(document.length >= 3_500 && document.length < 4_500, `${document.length}`);
      const path = join(await folder(t), 'config.yaml');
      await writeFile(path, document);
      const provider = await configProviderOf('file', { path });
      const seen: string[] = [];
      await using watched = watching({
        provider,
        source: path,
        times: { debounceMs: 5, maxDebounceMs: 50, throttleMs: 0 },
        apply: async ({ texts }) => {
          seen.push(...texts.values());
          return seen.length;
        },
      });
      await watched.watcher.start();
      const whole = contentHash({ text: document });
      for (let end = 0; end < document.length; end++) {
        const part = document.slice(0, end);
        if (end % 3 === 2) {
          await writeFile(`${path}.next`, part);
          await rename(`${path}.next`, path);
          await writeFile(`${path}.next`, document);
          await rename(`${path}.next`, path);
        } else {
          await writeFile(path, part);
          if (end % 3 === 1) await sleep(1);
          await appendFile(path, document.slice(end));
        }
        if (end % 200 === 0)
          await until(() => {
            const { state, serving } = watched.watcher.status();
            return state === 'current' && serving?.content_hash === whole;
          }, 20_000);
      }
      await until(() => {
        const { state, serving } = watched.watcher.status();
        return state === 'current' && serving?.content_hash === whole;
      }, 20_000);
      for (const text of seen) assert.ok(document.startsWith(text), 'never a mixture of two');
    });

    test('cut off and completed before a real server, every request is answered, and in the end by the whole', {
      timeout: 60_000,
    }, async () => {
      const text = document.replace('agents:\n', 'agents:\n  first: {}\n');
      await using hector = await startHector({ config: text, args: ['--watch'] });
      const path = join(hector.folder, 'config.yaml');
      for (let end = 0; end < text.length; end += 97) {
        await writeFile(path, text.slice(0, end));
        // Where nothing more comes for a while, what is there is the configuration, and may be one.
        const served = await agentsOf(hector);
        assert.ok(served.length > 0 && served.every((name) => text.includes(`  ${name}:`)));
        await writeFile(path, text);
      }
      await until(async () => (await statusOf(hector)).serving?.content_hash === contentHash({ text }));
      await until(async () => (await statusOf(hector)).state === 'current');
      assert.equal((await agentsOf(hector)).length, 36);
      assert.equal(hector.process.exitCode, null);
    });

    test('one bad configuration does not stick: each good one after it serves', async () => {
      await using hector = await startHector({ config: agents('a0'), args: ['--watch'] });
      const path = join(hector.folder, 'config.yaml');
      for (let round = 1; round <= 3; round++) {
        await writeFile(path, 'agents: { a: { llm: nope } }\n');
        await until(async () => (await statusOf(hector)).state === 'rejected');
        await writeFile(path, agents(`a${round}`));
        await until(async () => (await agentsOf(hector)).join() === `a${round}`);
        assert.equal((await statusOf(hector)).error, undefined);
      }
      const failures = await metric(hector, /^hector_config_reloads_total\{.*result="rejected"/);
      assert.match(failures.join(), / 3$/, 'and failures are counted');
      assert.match((await metric(hector, /^hector_config_last_reload_successful/)).join(), / 1$/);
    });

    test('an emptied configuration is not served', async () => {
      await using hector = await startHector({ config: agents('kept'), args: ['--watch'] });
      for (const text of ['', '\n', '# nothing here\n', '{}\n']) {
        await writeFile(join(hector.folder, 'config.yaml'), text);
        await until(async () => (await statusOf(hector)).error?.content_hash === contentHash({ text }));
        assert.equal((await statusOf(hector)).error?.code, 'config_empty');
        assert.deepEqual(await agentsOf(hector), ['kept']);
      }
    });

    test('what the status says serves is what requests are answered from', async () => {
      await using hector = await startHector({ config: agents('n0'), args: ['--watch'] });
      for (let round = 1; round <= 10; round++) {
        const text = agents(`n${round}`);
        await writeFile(join(hector.folder, 'config.yaml'), text);
        await until(async () => (await statusOf(hector)).serving?.content_hash === contentHash({ text }));
        // In the same breath: no request is answered from the one before.
        assert.deepEqual(await agentsOf(hector), [`n${round}`]);
        assert.equal((await fetch(`${hector.url}/agents/n${round - 1}/.well-known/agent-card.json`)).status, 404);
      }
    });

    test('a generation that drains does not hold up the next reload, and its stream ends whole', async () => {
      const slow = (name: string) =>
        `llms: { default: { provider: echo, delay: 60ms } }\nagents: { ${name}: {}, talker: { tools: [] } }\n`;
      await using hector = await startHector({ config: slow('n0'), args: ['--watch'] });
      const client = await connect(hector.url, 'talker');
      const said = Array.from({ length: 60 }, (_, at) => `word${at}`).join(' ');
      const events: Parameters<typeof answerOf>[0][number][] = [];
      const streaming = (async () => {
        for await (const event of stream(client, said)) events.push(event);
      })();
      await until(() => events.length > 2);
      for (let round = 1; round <= 3; round++) {
        await writeFile(join(hector.folder, 'config.yaml'), slow(`n${round}`));
        await until(async () => (await agentsOf(hector)).includes(`n${round}`));
      }
      assert.ok((await statusOf(hector)).draining.length >= 1, 'the stream still goes on');
      await streaming;
      assert.match(answerOf(events), /word0 .*word59/);
      await until(async () => (await statusOf(hector)).draining.length === 0);
    });
  });
});

// On its own: it counts what the whole process has.
test('a reload leaves nothing behind: descriptors, timers, sockets', async (t) => {
  const path = join(await folder(t), 'config.yaml');
  await writeFile(path, 'name: n0\n');
  const provider = await configProviderOf('file', { path });
  await using watched = watching({ provider, source: path });
  await watched.watcher.start();
  const reload = async (count: number) => {
    await writeFile(path, `name: n${count}\n`);
    await until(() => watched.serving() === `n${count}`);
  };
  const resources = () =>
    process
      .getActiveResourcesInfo()
      .filter((each) => !/FSReq/.test(each))
      .sort();
  for (let count = 1; count <= 10; count++) await reload(count);
  const before = resources();
  for (let count = 11; count <= 60; count++) await reload(count);
  await until(() => resources().length <= before.length);
});
