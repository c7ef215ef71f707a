import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSource } from '../../../server/commands/source.ts';

const agents = 'llms: { default: { provider: echo } }\nagents: { writer: {} }\n';
const document = (text: string) => ({ text, source: 'store:hector', revision: text });

async function localFile(t: TestContext, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'hector-source-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'local.yaml');
  await writeFile(path, text);
  return path;
}

test('what the block leaves out may come from flags, for the configuration and for what is served without one', async (t) => {
  const config = await localFile(t, 'config: { provider: etcd, address: "http://127.0.0.1:1", throttle: 5s }\n');
  await assert.rejects(openSource({ config }), /config\.key: is missing/);
  await using source = await openSource({ config, configKey: 'hector/production' });
  assert.equal(source.source, 'etcd:hector/production');
  for (const snapshot of [await source.loadLocal(), await source.load(document(agents))]) {
    const { config: block } = snapshot.config as unknown as { config: Record<string, unknown> };
    assert.deepEqual([block['key'], block['throttle']], ['hector/production', '5s']);
  }
});

test('a local file that has become empty is refused: it may have said who may come in', async (t) => {
  const text = (more = '') =>
    `config: { provider: etcd, key: hector/production${more} }\nserver: { auth: { enabled: true, api_keys: [abcdefgh] } }\n`;
  const config = await localFile(t, text());
  await using source = await openSource({ config });
  const load = async () => (await source.load(document(agents))).config.server.auth?.enabled;
  assert.equal(await load(), true);
  await writeFile(config, '\n');
  await assert.rejects(load(), { code: 'config_empty', message: /local\.yaml is empty, and it was not at the start/ });
  await writeFile(config, text());
  assert.equal(await load(), true);

  await writeFile(config, text(', allow_empty: true'));
  await using willing = await openSource({ config });
  await writeFile(config, '');
  assert.equal((await willing.load(document(agents))).config.server.auth?.enabled ?? false, false);
});
