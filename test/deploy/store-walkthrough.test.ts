import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Block, blocks } from '../docs/blocks.ts';
import { consulMissing, consulProgram, startConsul } from '../services/consul.ts';
import { etcdctlProgram, etcdMissing, startEtcd } from '../services/etcd.ts';
import { freePort } from '../services/service.ts';
import { type DeskOptions, desk } from '../support/desk.ts';
import type { Cleanup } from '../support/llm.ts';

/** What docs/hot-reload.md says step by step, those blocks that have the tool's name in them and those about it. */
const steps = blocks().filter(({ page }) => page === 'docs/hot-reload.md');
const typed = steps.filter(({ note }) => note === 'run by test/deploy/store-walkthrough.test.ts');

async function walk(t: Cleanup, tool: string, options: DeskOptions): Promise<string> {
  const script = typed.filter(({ text }) => text.includes(`${tool} `)).map(({ text }) => text);
  assert.ok(script.length > 1, tool);
  const { cwd, type } = await desk(t, options);
  // All of it in one shell, as it is typed.
  const all = script.join('\n').replaceAll('8090', `${await freePort()}`);
  await type(`trap 'kill %1 2> kill.txt || true' EXIT\n${all}\nwait`).catch(
    (error: { stdout: string; stderr: string }) => assert.fail(`${error.stdout}${error.stderr}`),
  );
  return await readFile(join(cwd, 'log.txt'), 'utf8');
}

test('the steps for Consul do what the page says, and log it', { skip: consulMissing }, async (t) => {
  await using consul = await startConsul();
  const log = await walk(t, 'consul', {
    programs: { consul: consulProgram() },
    env: { CONSUL_HTTP_ADDR: `http://${consul.address}` },
  });
  const shown = steps.find(({ language, text }) => language === 'text' && text.includes('source=consul')) as Block;
  const sentences = (text: string) =>
    text
      .split('\n')
      .flatMap((line) => /^(?:INFO {2}|ERROR )(?:the configuration|refused).*? source=\S+/.exec(line)?.[0] ?? []);
  assert.deepEqual(sentences(log), sentences(shown.text));
  const reason = /reason=.*$/m;
  assert.equal(reason.exec(log)?.[0], reason.exec(shown.text)?.[0]);
});

test('the steps for etcd do what the page says', { skip: etcdMissing }, async (t) => {
  await using etcd = await startEtcd();
  const log = await walk(t, 'etcdctl', {
    programs: { etcdctl: etcdctlProgram() },
    env: { ETCDCTL_ENDPOINTS: etcd.url, ETCDCTL_API: '3' },
  });
  assert.match(log, /refused a configuration/);
});

test('no step is left out', () => {
  assert.deepEqual(
    typed.filter(({ text }) => !/\b(?:consul|etcdctl) /.test(text)),
    [],
  );
});
