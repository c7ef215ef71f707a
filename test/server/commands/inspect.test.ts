import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { infoCommand } from '../../../server/commands/info.ts';
import { schemaCommand } from '../../../server/commands/schema.ts';
import { validateCommand } from '../../../server/commands/validate.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** The path of the first of these files, all in a folder of their own. */
async function write(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-inspect-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return join(folder, Object.keys(files)[0] ?? '');
}

const broken = `
version: "2"
llms:
  gpt: { provider: echo }
agents:
  writer:
    llm: gtp
    instruktion: Write.
server:
  port: 99999
`;

const good = `
version: "2"
name: Example
llms:
  default: { provider: openai, model: gpt-4o, api_key: "\${KEY}" }
  small: { provider: echo }
agents:
  writer: { llm: default, instruction: Write., description: Writes texts }
  editor: { llm: small, visibility: private, tools: [] }
`;
const goodFiles = { 'hector.yaml': good, '.env': 'KEY=sk-canary-123456\n' };

test('validate shows every error at once as a code frame', async () => {
  const file = await write({ 'hector.yaml': broken });
  const { code, stdout, stderr = '' } = await validateCommand(file, { format: 'pretty' });
  assert.deepEqual([code, stdout], [1, undefined]);
  assert.match(stderr, /hector\.yaml:7:\d+ agents\.writer\.llm: .*Did you mean "gpt"\?/);
  assert.match(stderr, /> 7 \| +llm: gtp\n +\| +\^/);
  assert.match(stderr, /agents\.writer\.instruktion.*Did you mean "instruction"\?/);
  assert.match(stderr, /hector\.yaml:10:\d+ server\.port/);
  assert.match(stderr, /3 errors in /);
});

test('validate --format json is for programs: right, wrong, or not there', async () => {
  const wrong = await validateCommand(await write({ 'hector.yaml': broken }), { format: 'json' });
  const report = JSON.parse(wrong.stdout ?? '');
  assert.deepEqual([wrong.code, wrong.stderr, report.valid], [1, undefined, false]);
  assert.ok(
    report.errors.some(
      (error: { path: string; line: number }) => error.path === 'agents.writer.llm' && error.line === 7,
    ),
  );

  const right = await validateCommand(await write(goodFiles), { format: 'json' });
  assert.equal(right.code, 0);
  assert.deepEqual([JSON.parse(right.stdout ?? '').valid, JSON.parse(right.stdout ?? '').errors], [true, []]);

  const missing = await validateCommand('/nowhere/hector.yaml', { format: 'json' });
  assert.equal(missing.code, 1);
  assert.match(JSON.parse(missing.stdout ?? '').errors[0].message, /there is no such file/);
  await assert.rejects(validateCommand('/nowhere/hector.yaml', { format: 'pretty' }), /there is no such file/);
});

test('validate builds for real: what only a plugin or the HTTP side can tell is found', async () => {
  const proxies = `${good}server: { trusted_proxies: [10.0.0.0/8, proxy.internal] }\n`;
  const one = await validateCommand(await write({ ...goodFiles, 'hector.yaml': proxies }), { format: 'pretty' });
  assert.equal(one.code, 1);
  assert.match(one.stderr ?? '', /hector\.yaml:10:\d+ server\.trusted_proxies\[1\]: "proxy\.internal" is neither/);

  const tools = 'llms: { default: { provider: echo } }\ntools: { mine: { type: function, handler: ./missing.mjs } }\n';
  const two = await validateCommand(await write({ 'hector.yaml': tools }), { format: 'pretty' });
  assert.equal(two.code, 1);
  assert.match(two.stderr ?? '', /:2:\d+ tools\.mine\.handler: the module .*missing\.mjs/);

  const both = await write({ 'hector.yaml': `${tools}server: { trusted_proxies: [proxy.internal] }\n` });
  const { stderr = '' } = await validateCommand(both, { format: 'pretty' });
  assert.match(stderr, /server\.trusted_proxies\[0\]: .*tools\.mine\.handler: .*2 errors/s, 'all at once');
});

test('origins that no browser would send, and credentials for all of them, are found', async () => {
  const cors =
    'allowed_origins: ["*", app.example.com, "https://app.example.com/", "https://*.example.com"]\n    allow_credentials: true';
  const text = `${good}server:\n  cors:\n    ${cors}\n`;
  const { code, stderr = '' } = await validateCommand(await write({ ...goodFiles, 'hector.yaml': text }), {
    format: 'pretty',
  });
  assert.equal(code, 1);
  assert.match(stderr, /server\.cors\.allowed_origins\[1\]: "app\.example\.com" is not an origin/);
  assert.match(stderr, /server\.cors\.allowed_origins\[2\]: "https:\/\/app\.example\.com\/" is not an origin/);
  assert.match(stderr, /server\.cors\.allow_credentials: cannot be combined with the origin "\*".*3 errors/s);
});

test('an internal agent that no client can reach is warned of', async () => {
  const agents = 'llms: { default: { provider: echo } }\nagents:\n  a: { visibility: internal }\n  b: {}\n';
  const open = await validateCommand(await write({ 'hector.yaml': agents }), { format: 'pretty' });
  assert.equal(open.code, 0);
  assert.match(open.stderr ?? '', /:3:8 agents\.a\.visibility: is "internal", .*no client can reach this agent\n$/);
  assert.equal(open.stderr?.split('\n').length, 2);

  const auth = 'server: { auth: { enabled: true, api_keys: [a-key-of-some-length] } }\n';
  const closed = await validateCommand(await write({ 'hector.yaml': agents + auth }), { format: 'pretty' });
  assert.deepEqual([closed.code, closed.stderr], [0, '']);
});

test('validate disposes what it has built', async () => {
  const plugin = `export default { apiVersion: 1, name: 'noted', provides: [{ point: 'llm', name: 'noted', description: 'x',
    options: { type: 'object', properties: {} },
    create: () => (globalThis.noted = ['open'], { model: 'x', chat() {}, async [Symbol.asyncDispose]() { globalThis.noted.push('closed'); } }) }] };`;
  const file = await write({
    'hector.yaml': 'plugins: [./noted.mjs]\nllms: { default: { provider: noted } }\n',
    'noted.mjs': plugin,
  });
  assert.equal((await validateCommand(file, { format: 'pretty' })).code, 0);
  assert.deepEqual((globalThis as { noted?: string[] }).noted, ['open', 'closed']);
});

test('validate --print-config fills defaults in and shows references instead of secrets', async () => {
  const { code, stdout = '' } = await validateCommand(await write(goodFiles), { format: 'pretty', printConfig: true });
  assert.equal(code, 0);
  assert.match(stdout, /api_key: .*\$\{KEY\}/);
  assert.match(stdout, /max_body_size: 1MiB/);
  assert.doesNotMatch(stdout, /canary/);
});

test('a valid file is said to be valid; what is not acted on yet is a warning', async () => {
  const file = await write(goodFiles);
  assert.deepEqual(await validateCommand(file, { format: 'pretty' }), {
    code: 0,
    stdout: `${file} is valid.\n`,
    stderr: '',
  });
  const coming = await write({ 'hector.yaml': 'llms: { default: { provider: echo } }\nguardrails: {}\n' });
  const { code, stderr = '' } = await validateCommand(coming, { format: 'pretty' });
  assert.equal(code, 0);
  assert.match(stderr, /^Warning: .*hector\.yaml:2:\d+ guardrails: /);
});

test('schema: JSON, on one line if asked', async () => {
  const file = await write({ 'hector.yaml': '' });
  const plain = await schemaCommand({ config: file });
  const schema = JSON.parse(plain.stdout ?? '');
  assert.ok(schema.properties.agents && schema.properties.llms);
  assert.ok((plain.stdout ?? '').split('\n').length > 100);
  const compact = await schemaCommand({ config: file, compact: true });
  assert.deepEqual(JSON.parse(compact.stdout ?? ''), schema);
  assert.equal((compact.stdout ?? '').split('\n').length, 2);
});

test('schema has the options of the file’s own plugins, also while the rest of the file is wrong', async () => {
  const plugin = `export default { apiVersion: 1, name: 'shout', provides: [{ point: 'llm', name: 'shout', description: 'Shouts',
    options: { type: 'object', properties: { volume: { type: 'integer', default: 11 } } }, create: () => ({}) }] };`;
  const file = await write({ 'hector.yaml': 'plugins: [./shout.mjs]\nthis_key_is_wrong: 1\n', 'shout.mjs': plugin });
  assert.match((await schemaCommand({ config: file })).stdout ?? '', /"volume"/);
  const none = await write({ 'hector.yaml': 'plugins: [./none.mjs]\n' });
  await assert.rejects(schemaCommand({ config: none }), /none\.mjs/);
});

test('info lists the agents; of one it tells more; of one that is not there, what was meant', async () => {
  const file = await write(goodFiles);
  const { stdout: list = '' } = await infoCommand(undefined, file);
  assert.match(
    list,
    /^NAME +TYPE +LLM +TOOLS +URL +DESCRIPTION\nwriter +llm +openai\/gpt-4o +\S+.* +http:\/\/localhost:8080\/agents\/writer +Writes texts\n/,
  );
  assert.match(list, /editor +llm +echo\/echo +none +\(only for other agents\)/);
  const { stdout: one = '' } = await infoCommand('writer', file);
  assert.match(
    one,
    /^writer\n[\s\S]*LLM +default \(openai\/gpt-4o\)[\s\S]*URL +http:\/\/localhost:8080\/agents\/writer\n/,
  );
  await assert.rejects(infoCommand('writr', file), {
    code: 'unknown_agent',
    message: /"writr" \(defined: writer, editor\)\. Did you mean "writer"\?/,
  });
  assert.doesNotMatch(list + one, /canary/);

  const stores =
    'document_stores: { a: { source: { type: directory, path: . } }, b: { source: { type: directory, path: . } } }\n';
  const agents = 'agents: { some: { document_stores: [b] }, all: {} }\n';
  const reading = await write({ 'hector.yaml': `llms: { default: { provider: echo } }\n${stores}${agents}` });
  assert.match((await infoCommand('some', reading)).stdout ?? '', /Documents +b\n/);
  assert.match((await infoCommand('all', reading)).stdout ?? '', /Documents +a, b\n/);
});
