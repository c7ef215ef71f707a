import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { answer, connect, send } from '../support/a2a-client.ts';
import { configStatus } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { modelServer, says } from '../support/model-server.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';
import { vaultStandIn } from '../support/vault.ts';

/** One model for each kind of secret; what it is called with is seen at the other end. */
const config = (origin: string, vault: string) => `
secrets:
  vault: { type: vault, address: "${vault}", token_file: ./token, refresh_interval: 200ms }
  mounted: { type: directory, path: ./mounted, refresh_interval: 200ms }
llms:
  of-vault: { provider: openai, base_url: "${origin}/v1", api_key: "\${vault:llm#key}" }
  of-directory: { provider: openai, base_url: "${origin}/v1", api_key: "\${mounted:key}" }
  of-file: { provider: openai, base_url: "${origin}/v1", api_key: "\${file:./key}" }
  of-variable: { provider: openai, base_url: "${origin}/v1", api_key: "\${MODEL_KEY}" }
agents:
  of-vault: { llm: of-vault }
  of-directory: { llm: of-directory }
  of-file: { llm: of-file }
  of-variable: { llm: of-variable }
`;
const kinds = ['of-vault', 'of-directory', 'of-file', 'of-variable'] as const;
type Kind = (typeof kinds)[number];

test('a secret that is rotated is used, whatever kind of reference it came from, and none of them is told', async (t) => {
  const model = await modelServer(t, says('hello'));
  const vault = await vaultStandIn(t, { 'secret/data/llm': { key: 'sk-of-vault-1' } });
  const inFolder = (hector: Pick<Hector, 'folder'>, name: string) => join(hector.folder, name);
  const files = {
    token: vault.token,
    'mounted/key': 'sk-of-directory-1\n',
    key: 'sk-of-file-1\n',
    '.env': 'MODEL_KEY=sk-of-variable-1\n',
  };
  await using hector = await startHector({
    config: config(model.origin, vault.origin),
    files,
    args: ['--watch', '--log-level', 'debug'],
  });
  const usedBy = async (kind: Kind) => {
    assert.equal(answer(await send(await connect(hector.url, kind), 'hello')), 'hello');
    return model.requests.at(-1)?.headers.authorization;
  };
  for (const kind of kinds) assert.equal(await usedBy(kind), `Bearer sk-${kind}-1`);

  vault.secrets.set('secret/data/llm', { key: 'sk-of-vault-2' });
  const put = async (name: string, text: string) => {
    await writeFile(inFolder(hector, `${name}.next`), text);
    await rename(inFolder(hector, `${name}.next`), inFolder(hector, name));
  };
  await put('mounted/key', 'sk-of-directory-2\n');
  await put('key', 'sk-of-file-2\n');
  await put('.env', 'MODEL_KEY=sk-of-variable-2\n');
  for (const kind of kinds) await until(async () => (await usedBy(kind)) === `Bearer sk-${kind}-2`);

  vault.secrets.set('secret/data/llm', 503);
  await until(async () => (await configStatus(hector)).state === 'rejected');
  await told(hector, /llms\.of-vault\.api_key: the secret store \\?"vault\\?" does not give/);
  assert.equal(await usedBy('of-vault'), 'Bearer sk-of-vault-2');
  vault.secrets.set('secret/data/llm', { key: 'sk-of-vault-3' });
  await until(async () => (await usedBy('of-vault')) === 'Bearer sk-of-vault-3');

  // The token is rotated as well, and the old one is refused from now on.
  vault.token = 'hvs.the-next-token-of-the-test';
  await put('token', vault.token);
  vault.secrets.set('secret/data/llm', { key: 'sk-of-vault-4' });
  await until(async () => (await usedBy('of-vault')) === 'Bearer sk-of-vault-4');
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stderr() + hector.stdout(), /sk-of-|hvs\./);
});

test('with no store there is no start, and the line that refers to it is named', async (t) => {
  const vault = await vaultStandIn(t, { 'secret/data/llm': 503 });
  const failed = startHector({
    config: config('http://127.0.0.1:1', vault.origin),
    files: { token: vault.token, 'mounted/key': 'k', key: 'k', '.env': 'MODEL_KEY=k' },
  });
  await assert.rejects(
    failed,
    /config\.yaml:6:\d+ llms\.of-vault\.api_key: the secret store "vault" does not give "llm#key": .* sealed or not ready \(HTTP 503\)/,
  );
});
