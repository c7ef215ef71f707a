import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { userMessage } from '../support/a2a-client.ts';
import { Canaries } from '../support/canaries.ts';
import { cleanEnvironment, type Hector, startHector } from '../support/hector.ts';
import { type ModelRequest, modelServer } from '../support/model-server.ts';
import { until } from '../support/until.ts';
import { vaultStandIn } from '../support/vault.ts';

const cli = join(import.meta.dirname, '../../dist/server/cli.js');

/** Tells whoever asks what he has sent, in every way that servers do. */
function echoes(response: ServerResponse, { headers, path }: ModelRequest): void {
  const sent = ['authorization', 'x-team', 'x-far', 'x-remote'].flatMap((name) => headers[name] ?? []);
  const forms = sent.map(String).flatMap((text) => {
    const key = text.replace('Bearer ', '');
    return [text, encodeURIComponent(key), Buffer.from(`user:${key}`).toString('base64'), JSON.stringify({ key })];
  });
  response.writeHead(401, { 'content-type': 'application/json', 'www-authenticate': `Bearer realm="${path}"` });
  response.end(JSON.stringify({ error: { message: `not with ${forms.join(' ')}`, type: 'authentication_error' } }));
}

/** Where a value comes from, as it is written. */
type Written = (name: string) => string;

const quoted = (text: string) => JSON.stringify(text);

const sections = (origin: string, from: Written) => `
llms:
  echoing: { provider: openai, base_url: "${origin}/v1", api_key: ${from('model')}, headers: { x-team: ${from('team')} } }
  broken: { provider: anthropic, base_url: "${origin}", api_key: ${from('anthropic')} }
tools:
  far: { type: mcp, url: "${origin}/mcp", headers: { x-far: ${from('far')} } }
agents:
  asker: { llm: echoing, tools: [] }
  other: { llm: broken, tools: [] }
  toolful: { llm: echoing, tools: [far] }
  caller: { type: remote, url: "${origin}/remote", headers: { x-remote: ${from('remote')} } }
databases:
  file: { driver: sqlite, database: hector.db }
storage: { tasks: { backend: sql, database: file }, sessions: { backend: sql, database: file } }
server:
  openai: { enabled: true }
  mcp: { enabled: true }
  auth: { enabled: true, api_keys: [{ key: ${from('caller')}, subject: caller, roles: [operator] }] }
`;

const file = 'driver: sqlite, database: hector.db';
const inUrl = (scheme: string, value: string, rest: string) =>
  `"${scheme}://u:${value.slice(1, -1)}@127.0.0.1:${rest}"`;

/** Each is wrong in its own way, and one wrong value is a secret. */
const wrong = (text: string, from: Written): readonly string[] => [
  text.replace(
    'api_key: ',
    from('model').includes('$') ? 'temperature: 1, max_tokens: ' : 'temperature: hot, api_key: ',
  ),
  text.replace('provider: openai', `provider: openai, api_kye: ${from('model')}`),
  text.replace('api_keys: [', `api_keys: ${from('caller')}, x: [`),
  text.replace('llm: broken', 'llm: brokn'),
  text.replace(file, `driver: postgres, host: h, password: ${from('database')}, ssl_mode: nonsense`),
  text.replace(file, `driver: postgres, dsn: ${inUrl('postgres', from('database'), '1/x?sslmode=nonsense')}`),
  text
    .replace(file, `driver: mongodb, uri: ${inUrl('mongodb', from('database'), 'port/x')}`)
    .replaceAll('backend: sql', 'backend: mongodb'),
  `${text}\n  {{ api_key: ${from('model')}`,
];

/** It is served, and nobody answers where it says that tasks are kept. */
const away = (text: string, from: Written) =>
  text.replace(file, `driver: postgres, host: 127.0.0.1, port: 1, user: u, password: ${from('database')}`);

interface Serving {
  readonly hector: Hector;
  readonly canaries: Canaries;
  readonly key: string;
}

async function ask({ hector, canaries, key }: Serving, path: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`${hector.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${key}`, 'x-api-key': key, 'content-type': 'application/json', ...init.headers },
  });
  const text = await response.text();
  canaries.saw(
    `${init.method ?? 'GET'} ${path}`,
    `${response.status} ${JSON.stringify([...response.headers])} ${text}`,
  );
  return text;
}

const post = (serving: Serving, path: string, body: object, headers: Record<string, string> = {}) =>
  ask(serving, path, { method: 'POST', body: JSON.stringify(body), headers });

/** Everything that can be asked for, and every failure that can be had. */
async function useAll(serving: Serving): Promise<void> {
  for (const path of [
    '/health',
    '/health/ready',
    '/metrics',
    '/agents',
    '/.well-known/agent-card.json',
    '/api/config/status',
    '/api/schema',
  ])
    await ask(serving, path);
  for (const agent of ['asker', 'other', 'toolful', 'caller']) {
    await ask(serving, `/agents/${agent}/.well-known/agent-card.json`);
    for (const method of ['SendMessage', 'SendStreamingMessage']) {
      const params = { message: userMessage('hello') };
      const said = await post(
        serving,
        `/agents/${agent}`,
        { jsonrpc: '2.0', id: 1, method, params },
        { 'a2a-version': '1.0' },
      );
      assert.match(said, /TASK_STATE_FAILED/, `${agent} ${method}`);
    }
    const messages = [{ role: 'user', content: 'hello' }];
    for (const stream of [false, true]) await post(serving, '/v1/chat/completions', { model: agent, messages, stream });
    const call = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: agent, arguments: { message: 'hello' } },
    };
    await post(serving, '/mcp', call, { accept: 'application/json, text/event-stream' });
    const list = { jsonrpc: '2.0', id: 1, method: 'ListTasks', params: { includeArtifacts: true, historyLength: 10 } };
    await post(serving, `/agents/${agent}`, list, { 'a2a-version': '1.0' });
  }
  await ask(serving, '/agents', { headers: { authorization: 'Bearer wrong', 'x-api-key': 'wrong' } });
}

async function run(canaries: Canaries, folder: string, env: Readonly<Record<string, string>>, ...args: string[]) {
  const { code, text } = await new Promise<{ code: number; text: string }>((resolve) => {
    const options = { cwd: folder, env: cleanEnvironment(env) };
    execFile(process.execPath, [cli, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, text: stdout + stderr });
    });
  });
  canaries.saw(`hector ${args.join(' ')}`, text);
  return { code, text };
}

interface Prepared {
  readonly canaries: Canaries;
  readonly from: Written;
  readonly env: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  readonly origin: string;
  readonly vault: string;
}

async function prepared(t: TestContext): Promise<Prepared> {
  const canaries = new Canaries();
  const { origin } = await modelServer(t, echoes);
  const stored = { 'secret/data/llm': { team: canaries.of('team'), database: canaries.of('database') } };
  const vault = await vaultStandIn(t, stored);
  vault.token = canaries.of('token');
  const references: Readonly<Record<string, string>> = {
    model: '${MODEL_KEY}',
    anthropic: '${env:ANTHROPIC_KEY}',
    team: '${vault:llm#team}',
    database: '${vault:llm#database}',
    far: '${mounted:far}',
    remote: '${FROM_DOT_ENV}',
    caller: '${CALLER_KEY}',
    token: '${file:./token}',
  };
  return {
    canaries,
    from: (name) => quoted(references[name] ?? assert.fail(name)),
    env: {
      MODEL_KEY: canaries.of('model'),
      ANTHROPIC_KEY: canaries.of('anthropic'),
      CALLER_KEY: canaries.of('caller'),
    },
    files: {
      token: `${canaries.of('token')}\n`,
      'mounted/far': canaries.of('far'),
      '.env': `FROM_DOT_ENV='${canaries.of('remote')}'\n`,
    },
    origin,
    vault: vault.origin,
  };
}

const stores = (vault: string, from: Written) => `
secrets:
  vault: { type: vault, address: "${vault}", token: ${from('token')} }
  mounted: { type: directory, path: ./mounted }
`;

/** A source that is elsewhere, so that a copy of what served is kept. */
const shelf = `import { readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
export default { apiVersion: 1, name: 'shelf', provides: [{ point: 'config', name: 'shelf', description: 'A file elsewhere',
  options: { type: 'object', properties: { path: { type: 'string' }, token: { type: 'string' } } },
  create: ({ path, token }) => ({ async *watch(signal) {
    while (!signal.aborted) {
      const text = await readFile(path, 'utf8').catch(() => { throw new Error('not with ' + token + ' or ' + encodeURIComponent(token)); });
      yield { text, source: 'shelf:' + path, revision: createHash('sha256').update(text).digest('hex') };
      await sleep(50, undefined, { signal }).catch(() => undefined);
    }
  } }) }] };
`;

describe('no secret is told', { timeout: 120_000, concurrency: true }, () => {
  test('that came from a reference, wherever one looks: a source elsewhere, with a copy on disk', async (t) => {
    const { canaries, from, env, files, origin, vault } = await prepared(t);
    const text = sections(origin, from);
    const local = `plugins: [./shelf.mjs]\n${stores(vault, from)}config: { provider: shelf, path: remote.yaml, token: ${from('database')}, watch: true, throttle: 0 }\n`;
    await using hector = await startHector({
      config: local,
      files: { ...files, 'shelf.mjs': shelf, 'remote.yaml': text },
      args: ['--studio', '--log-level', 'debug'],
      env,
    });
    const serving = { hector, canaries, key: canaries.of('caller') };
    await useAll(serving);
    assert.match(await ask(serving, '/api/config'), /\$\{vault:llm#team\}/);
    const status = async () => JSON.parse(await ask(serving, '/api/config/status')) as { state: string };
    for (const bad of wrong(text, from)) {
      await writeFile(join(hector.folder, 'remote.yaml'), bad);
      await until(async () => (await status()).state === 'rejected');
      await post(serving, '/api/config/reload', {});
      await ask(serving, '/api/config', { method: 'PUT', body: bad, headers: { 'content-type': 'application/yaml' } });
      await writeFile(join(hector.folder, 'remote.yaml'), text);
      await until(async () => (await status()).state === 'current');
    }
    await writeFile(join(hector.folder, 'remote.yaml'), away(text, from));
    await until(async () => (await ask(serving, '/health/ready')).includes('unreachable'));
    await post(serving, '/agents/asker', { jsonrpc: '2.0', id: 1, method: 'ListTasks', params: {} });
    await rm(join(hector.folder, 'remote.yaml'));
    await until(async () => (await ask(serving, '/api/config/status')).includes('not with ***'));
    for (const path of ['/api/config', '/health/ready']) await ask(serving, path);
    await post(serving, '/api/config/reload', {});
    await writeFile(join(hector.folder, 'remote.yaml'), text);
    for (const command of [
      ['info'],
      ['info', 'asker'],
      ['validate', 'config.yaml'],
      ['validate', 'config.yaml', '--print-config'],
      ['config', 'diff', 'remote.yaml'],
    ])
      await run(
        canaries,
        hector.folder,
        env,
        ...command,
        ...(command[0] === 'validate' ? [] : ['--config', 'config.yaml']),
      );
    await hector.stop();
    canaries.saw('stdout', hector.stdout());
    canaries.saw('stderr', hector.stderr());
    assert.ok(hector.stderr().includes('***'), 'something was taken out');
    const kept = existsSync(join(hector.folder, '.hector'));
    assert.ok(kept, 'a copy of what served last is kept');
    const count = await canaries.sawFolder(hector.folder, Object.keys(files));
    assert.ok(count > 3);
    canaries.assertUnseen();
  });

  test('that came from a reference, by the commands, of a file that is right and of one that is wrong', async (t) => {
    const { canaries, from, env, files, origin, vault } = await prepared(t);
    const text = stores(vault, from) + sections(origin, from);
    await using hector = await startHector({ config: text, files, env });
    await commands(canaries, hector.folder, env, text, from);
    canaries.assertUnseen();
  });

  test('that is written out under a key of secrets; only the document itself has it', async (t) => {
    const { canaries, env, files, origin, vault } = await prepared(t);
    const from: Written = (name) => quoted(canaries.of(name));
    const text = stores(vault, from) + sections(origin, from);
    await using hector = await startHector({ config: text, files, args: ['--studio', '--log-level', 'debug'], env });
    const serving = { hector, canaries, key: canaries.of('caller') };
    await useAll(serving);
    for (const bad of wrong(text, from)) {
      await writeFile(join(hector.folder, 'config.yaml'), bad);
      await post(serving, '/api/config/reload', {});
      await ask(serving, '/api/config/status');
      await ask(serving, '/api/config', { method: 'PUT', body: bad, headers: { 'content-type': 'application/yaml' } });
    }
    await commands(canaries, hector.folder, {}, text, from);
    await hector.stop();
    canaries.saw('stdout', hector.stdout());
    canaries.saw('stderr', hector.stderr());
    await canaries.sawFolder(hector.folder, ['config.yaml', 'bad.yaml', ...Object.keys(files)]);
    canaries.assertUnseen();
  });
});

async function commands(
  canaries: Canaries,
  folder: string,
  env: Readonly<Record<string, string>>,
  text: string,
  from: Written,
): Promise<void> {
  await writeFile(join(folder, 'config.yaml'), text);
  for (const args of [
    ['validate', 'config.yaml', '--print-config'],
    ['info', '-c', 'config.yaml'],
    ['info', 'asker', '-c', 'config.yaml'],
    ['schema', '--config', 'config.yaml'],
    ['db', 'status', '-c', 'config.yaml'],
  ]) {
    const { code, text: said } = await run(canaries, folder, env, ...args);
    assert.equal(code, 0, `${args.join(' ')}: ${said}`);
  }
  // The others have been asked for of a server; each of these is a process.
  for (const bad of wrong(text, from).filter((_, index) => index % 3 === 1)) {
    await writeFile(join(folder, 'bad.yaml'), bad);
    assert.equal((await run(canaries, folder, env, 'validate', 'bad.yaml')).code, 1, bad);
  }
  for (const args of [
    ['validate', '--format', 'json', 'bad.yaml'],
    ['serve', '--port', '0', '--config', 'bad.yaml'],
  ])
    assert.equal((await run(canaries, folder, env, ...args)).code, 1, args.join(' '));
  assert.match(await readFile(join(folder, 'bad.yaml'), 'utf8'), /\{\{/);
}
