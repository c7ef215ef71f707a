import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import vault from '../../../plugins/secrets/vault.ts';
import { freePort } from '../../services/service.ts';
import { checkedOptions, extensionContext, temporaryFolder } from '../../support/extension.ts';
import { load, problems, standIns } from '../../support/stand-ins.ts';
import { vaultStandIn } from '../../support/vault.ts';

const builtins = [standIns, vault];
const token = 'hvs.token-of-the-test';

const reasonOf = async (t: TestContext, secrets: Parameters<typeof vaultStandIn>[1], reference: string) => {
  const { origin } = await vaultStandIn(t, secrets);
  const text = `secrets: { vault: { type: vault, address: "${origin}", token: ${token} } }\nname: "\${vault:${reference}}"\n`;
  const [problem, ...others] = await problems(text, { builtins });
  assert.deepEqual(others, []);
  const [, reason] =
    /^hector\.yaml:2:1 name: the secret store "vault" does not give "[^"]*": (.*)$/.exec(problem ?? '') ?? [];
  return reason?.replaceAll(origin, 'ORIGIN');
};

test('fields of secrets, with the token, the mount and the namespace of the configuration; each secret is asked for once', async (t) => {
  const server = await vaultStandIn(t, {
    'secret/data/llm': { key: 'sk-from-vault', port: 8443, on: true },
    'team:kv/apps/data/db/main pass': { password: 'it is ünusual' },
  });
  const text = `
secrets:
  vault: { type: vault }
  team: { type: vault, token: "\${file:token}", namespace: team, mount: kv/apps/ }
name: "\${vault:llm#key} \${vault:llm#port} \${vault:llm#on}"
description: "\${team:db/main pass#password}"
`;
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'token'), `${token}\n`);
  const environment = { VAULT_ADDR: `${server.origin}/`, VAULT_TOKEN: token };
  const { config, secrets } = await load(text, { builtins, environment, folder });
  assert.equal(config.name, 'sk-from-vault 8443 true');
  assert.equal(config.description, 'it is ünusual');
  assert.deepEqual(server.requests.map(({ path }) => path).sort(), [
    '/v1/kv/apps/data/db/main%20pass',
    '/v1/secret/data/llm',
  ]);
  assert.equal(secrets.redact(token), '***');
});

test('the file with the token is followed, and read anew for each load', async (t) => {
  const server = await vaultStandIn(t, { 'secret/data/llm': { key: 'sk-from-vault' } });
  const folder = await temporaryFolder(t);
  const text = `secrets: { vault: { type: vault, address: "${server.origin}", token_file: ./token } }\nname: "\${vault:llm#key}"\n`;
  await writeFile(join(folder, 'token'), `${token}\n`);
  const { config, files, optionFiles } = await load(text, {
    builtins,
    folder,
    environment: { VAULT_TOKEN: 'another' },
  });
  assert.equal(config.name, 'sk-from-vault');
  assert.ok(files.has(join(folder, 'token')), [...files.keys()].join());
  assert.equal(optionFiles.length, 1);
  server.token = 'hvs.the-next-token';
  await writeFile(join(folder, 'token'), 'hvs.the-next-token');
  assert.equal((await load(text, { builtins, folder })).config.name, 'sk-from-vault');
});

test('what Vault refuses is told with what to do, and without the token', async (t) => {
  const llm = { 'secret/data/llm': { key: 'sk-from-vault', list: ['a'] } };
  const cases: [secrets: Parameters<typeof vaultStandIn>[1], reference: string, reason: string][] = [
    [llm, 'llm', 'it names no field: write the path of the secret, "#" and the field, as in llm#key'],
    [llm, '../llm#key', '"../llm" is no path: write names with "/" between them'],
    [llm, 'llm#kye', 'the secret "llm" has no field "kye" (it has key, list)'],
    [llm, 'llm#toString', 'the secret "llm" has no field "toString" (it has key, list)'],
    [llm, 'llm#list', 'the field "list" of "llm" is no text'],
    [llm, 'lm#key', 'there is no secret "lm" in the mount "secret", or its newest version is deleted'],
    [
      { 'secret/data/llm': null },
      'llm#key',
      'there is no secret "llm" in the mount "secret", or its newest version is deleted',
    ],
    [{ 'secret/data/llm': 503 }, 'llm#key', 'ORIGIN is sealed or not ready (HTTP 503): Vault is sealed'],
    [{ 'secret/data/llm': 500 }, 'llm#key', 'ORIGIN answers HTTP 500'],
    [
      { 'secret/data/llm': 307 },
      'llm#key',
      'ORIGIN sends elsewhere (HTTP 307), where the token must not go. Write the address of the server that answers',
    ],
  ];
  for (const [secrets, reference, expected] of cases)
    assert.equal(await reasonOf(t, secrets, reference), expected, reference);
});

test('a token that Vault does not know is not echoed, wherever it came from', async (t) => {
  const { origin } = await vaultStandIn(t, {});
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'token'), 'hvs.an-old-token\n');
  for (const option of ['token: hvs.an-old-token', 'token_file: ./token']) {
    const text = `secrets: { vault: { type: vault, address: "${origin}", ${option} } }\nname: "\${vault:llm#key}"\n`;
    const [problem = ''] = await problems(text, { builtins, folder });
    assert.match(problem, /refuses the token \(HTTP 403\)\. .*reads secret\/data\/llm: permission denied: \*\*\*$/);
    assert.doesNotMatch(problem, /an-old-token/);
  }
});

test('a server that is not there, not Vault, or silent', async (t) => {
  const silent = createServer((request, response) => {
    if (request.url?.includes('html')) response.end('<html>Welcome to nginx</html>');
    else if (request.url?.includes('large')) response.end('x'.repeat(3 * 1024 * 1024));
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.after(() => silent.closeAllConnections());
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const address = `http://127.0.0.1:${port}`;
  const store = async (at: string) => {
    const [extension] = vault.provides;
    assert.ok(extension);
    const options = checkedOptions(extension, { address: at, token, timeout: '200ms' });
    return (await extension.create(options as never, extensionContext<'secret'>().context as never)) as {
      resolve(reference: string, signal: AbortSignal): Promise<string>;
    };
  };
  const refused = async (at: string, reference: string) =>
    (await store(at)).resolve(reference, new AbortController().signal).then(
      () => 'resolved',
      (error: Error) => error.message,
    );
  assert.match(
    await refused(address, 'html#key'),
    /what no KV engine of version 2 would: is "secret" one \(mount\)\?$/,
  );
  assert.match(await refused(address, 'large#key'), /^its answer has more than 2 MiB$/);
  assert.equal(await refused(address, 'llm#key'), `${address} did not answer within 200ms`);
  assert.match(await refused(`http://127.0.0.1:${await freePort()}`, 'llm#key'), /cannot be reached: ECONNREFUSED$/);
});

test('without a token it says how to give one', async (t) => {
  const { origin } = await vaultStandIn(t, {});
  const text = `secrets: { vault: { type: vault, address: "${origin}" } }\nname: "\${vault:llm#key}"\n`;
  assert.match(
    (await problems(text, { builtins }))[0] ?? '',
    /it needs a token\. Set VAULT_TOKEN, or write "token:" or "token_file:"$/,
  );
  assert.match(
    (await problems('secrets: { vault: { type: vault } }\n', { builtins }))[0] ?? '',
    /address: is missing. Set VAULT_ADDR/,
  );
});
