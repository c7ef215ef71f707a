import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os, { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readEnvironment } from '../../../core/config/environment.ts';
import { printConfig } from '../../../core/config/print.ts';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import { temporaryFolder } from '../../support/extension.ts';
import { load, problems } from '../../support/stand-ins.ts';

const environment = {
  OPENAI_API_KEY: 'sk-0123456789',
  NAME: 'ann',
  EMPTY: '',
  PORT: '9090',
  YES: 'true',
  TOOLS: 'one, two',
};
const keysOf = ({ config }: Pick<Snapshot, 'config'>) =>
  (config.server.auth?.schemes?.[0] as { keys?: unknown } | undefined)?.keys;

test('every form of reference, in every kind of scalar', async () => {
  const cases: [written: string, meant: string][] = [
    ['${NAME}', 'ann'],
    ['"${NAME}"', 'ann'],
    ["'${NAME}'", 'ann'],
    ['${env:NAME}', 'ann'],
    ['a ${NAME} b ${NAME}', 'a ann b ann'],
    ['${NOPE:-bob}', 'bob'],
    ['${NOPE:bob}', 'bob'],
    ['${env:NOPE:-bob}', 'bob'],
    ['${EMPTY:-bob}', 'bob'],
    ['${EMPTY:bob}', 'bob'],
    ['"${NOPE:-}"', ''],
    ['"[${EMPTY}]"', '[]'],
    ['${NOPE:-http://localhost:11434/v1}', 'http://localhost:11434/v1'],
    ['${NAME:-bob}', 'ann'],
    ['$${NAME}', '${NAME}'],
    ['$$$${NAME}', '$${NAME}'],
    ['$$${NAME}', '$ann'],
    ['$NAME', '$NAME'],
    ['costs $5, or $', 'costs $5, or $'],
    ['a$$b', 'a$b'],
    ['${env:-x}', 'x'],
  ];
  for (const [written, meant] of cases) {
    const { config } = await load(`description: ${written}\n`, { environment });
    assert.equal(config.description, meant, written);
  }
  const block = await load('description: |\n  Dear ${NAME},\n  {name} pays $5\n', { environment });
  assert.equal(block.config.description, 'Dear ann,\n{name} pays $5\n');
});

test('keys are no scalars of the tree, and what a value holds is not read again', async () => {
  const { config } = await load('llms:\n  a: {provider: openai, headers: {"${NAME}": "${TWICE}"}}\n', {
    environment: { ...environment, TWICE: '${NAME}' },
  });
  assert.deepEqual(config.llms['a']?.['headers'], { '${NAME}': '${NAME}' });
});

test('a value takes the type that the schema wants', async () => {
  const text = `
server:
  port: \${PORT}
  max_body_size: 1024
agents:
  a: {streaming: "\${YES}", tools: "\${TOOLS}", turns: "1,2"}
  b: {streaming: "\${NO:-false}", tools: ""}
llms:
  a: {provider: openai, temperature: "0", max_tokens: "16", model: 1.10, api_key: 0123}
defaults: {llm: a}
version: 2
`;
  const { config } = await load(text, { environment });
  assert.equal(config.server.port, 9090);
  assert.equal(config.server.max_body_size, '1024');
  const { a, b } = config.agents;
  assert.deepEqual([a?.streaming, a?.['tools'], a?.['turns']], [true, ['one', 'two'], [1, 2]]);
  assert.deepEqual([b?.streaming, b?.['tools']], [false, []]);
  const llm = config.llms['a'];
  assert.deepEqual(
    [llm?.['temperature'], llm?.['max_tokens'], llm?.['model'], llm?.['api_key']],
    [0, 16, '1.10', '0123'],
  );
  assert.equal(config.version, '2');
});

test('what is not the text of a number stays text', async () => {
  for (const port of ['1e3', '0x50', '80 ', '8_0', '99999999999999999999']) {
    const [found] = await problems(`server: {port: "${port}"}\n`, { environment });
    assert.match(found ?? '', /expected a whole number, got text/);
  }
});

test('files: from the folder of the document, one newline at the end is not theirs', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets/key'), 'from a file\n\n');
  await writeFile(join(folder, 'port'), '7070\r\n');
  const text = 'name: ${file:secrets/key}\ndescription: ${file:./secrets/key}\nserver: {port: "${file:port}"}\n';
  const { config, secrets } = await load(text, { folder, environment });
  assert.equal(config.name, 'from a file\n');
  assert.equal(config.description, 'from a file\n');
  assert.equal(config.server.port, 7070);
  assert.deepEqual([...secrets.values].sort(), ['from a file\n', 'sk-0123456789']);

  const absolute = await load(`name: \${file:${join(folder, 'secrets/key')}}\n`, { folder: null, environment });
  assert.equal(absolute.config.name, 'from a file\n');
  assert.deepEqual(await problems('name: ${file:secrets/key}\n', { folder: null, environment }), [
    'hector.yaml:1:1 name: the file "secrets/key" is relative, and this document is not in a folder. Write an absolute path',
  ]);
});

test('values from outside are secrets, defaults are not, and a dump shows the references', async () => {
  const text = `
llms:
  a: {provider: openai, api_key: "\${OPENAI_API_KEY}", base_url: "\${BASE:-http://localhost:1234}", model: "m-\${NAME}"}
name: a$$b \${x}
`.replace(' ${x}', '');
  const snapshot = await load(text, { environment });
  assert.deepEqual([...snapshot.secrets.values], ['sk-0123456789']);
  const printed = printConfig(snapshot);
  assert.match(printed, /api_key: \$\{OPENAI_API_KEY\}/);
  assert.match(printed, /base_url: \$\{BASE:-http:\/\/localhost:1234\}/);
  assert.match(printed, /model: m-\$\{NAME\}/);
  assert.match(printed, /max_tasks: 10000/);
  assert.ok(!printed.includes('sk-0123456789'));

  const again = await load(printed, { environment });
  assert.equal(again.hash, snapshot.hash, 'a printed configuration is the same configuration');
});

test('a secret that is written out is not printed either', async () => {
  const text = `
llms: {a: {provider: openai, api_key: sk-written-out, headers: {Authorization: Bearer abcdefgh}}}
databases: {main: {driver: postgres, password: correct-horse}}
server: {auth: {enabled: true, api_keys: [long-enough-key, {key: another-long-key, subject: ann}]}}
`;
  const snapshot = await load(text);
  const printed = printConfig(snapshot);
  for (const secret of ['sk-written-out', 'Bearer abcdefgh', 'correct-horse', 'long-enough-key', 'another-long-key']) {
    assert.ok(!printed.includes(secret), secret);
    assert.equal(snapshot.secrets.redact(`it is ${secret}!`), 'it is ***!');
  }
  assert.match(printed, /subject: ann/);
  assert.match(printed, /first_token: 60s/);
});

test('a secret of several lines is found in JSON too', async () => {
  const { secrets } = await load('description: ${PEM}\n', { environment: { PEM: 'begin\n"key"\nend' } });
  assert.equal(secrets.redact(JSON.stringify({ x: 'a begin\n"key"\nend b' })), '{"x":"a *** b"}');
});

test('each item of a list that was one reference is a secret', async () => {
  const text = 'server: {auth: {enabled: true, api_keys: "${KEYS}"}}\n';
  const snapshot = await load(text, { environment: { ...environment, KEYS: 'number-one,number-two' } });
  assert.deepEqual(keysOf(snapshot), ['number-one', 'number-two']);
  assert.equal(snapshot.secrets.redact('number-two'), '***');
  assert.match(printConfig(snapshot), /keys: \$\{KEYS\}/);
});

test('the environment: the process, then .env beside the document, then here, then at home', async (t) => {
  const folder = await temporaryFolder(t);
  const [beside, here, home] = await Promise.all(
    ['beside', 'here', 'home'].map(async (name) => {
      const each = join(folder, name);
      await mkdir(join(each, '.hector'), { recursive: true });
      return each;
    }),
  );
  const before = { cwd: process.cwd(), home: process.env['HOME'], own: process.env['HECTOR_TEST_1'] };
  process.chdir(here as string);
  process.env['HOME'] = home;
  process.env['HECTOR_TEST_1'] = 'process';
  t.after(() => {
    process.chdir(before.cwd);
    if (before.home === undefined) delete process.env['HOME'];
    else process.env['HOME'] = before.home;
    delete process.env['HECTOR_TEST_1'];
  });
  assert.equal(homedir(), home);
  const lines = (from: number, where: string) =>
    [1, 2, 3, 4]
      .slice(from)
      .map((n) => `HECTOR_TEST_${n}=${where}`)
      .join('\n');
  await writeFile(
    join(beside as string, '.env'),
    `# a comment\n\nexport QUOTED="two\nlines" # yes\n${lines(0, 'beside')}\n`.replace(
      /HECTOR_TEST_[34]=beside\n/g,
      '',
    ),
  );
  await writeFile(join(here as string, '.env'), lines(1, 'here').replace(/\n?HECTOR_TEST_4=here/, ''));
  await writeFile(join(home as string, '.hector/.env'), lines(1, 'home'));

  const read = readEnvironment({ folder: beside });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((n) => read.get(`HECTOR_TEST_${n}`)),
    ['process', 'beside', 'here', 'home', undefined],
  );
  assert.equal(read.get('QUOTED'), 'two\nlines');
  assert.equal(process.env['HECTOR_TEST_2'], undefined, 'the environment of the process is not written');

  for (const [text, line] of [
    ['A=1\nnonsense\nB=2\n', 2],
    ['A=1\n\nB="open\n', 3],
    ['=1\n', 1],
    ['A="x" y\n', 1],
  ] as const) {
    await writeFile(join(beside as string, '.env'), text);
    assert.throws(() => readEnvironment({ folder: beside }), {
      message: new RegExp(`${join(beside as string, '.env')}:${line} is not a line`),
    });
  }
  await writeFile(join(here as string, '.env'), '');
  await mkdir(join(folder, 'odd/.env'), { recursive: true });
  assert.throws(() => readEnvironment({ folder: join(folder, 'odd') }), { message: /odd\/\.env cannot be read/ });
});

test('a user without a home, as a container may run one, has no ~/.hector', (t) => {
  const noHome = Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' });
  t.mock.method(os, 'homedir', () => {
    throw noHome;
  });
  syncBuiltinESMExports();
  try {
    assert.equal(readEnvironment().get('PATH'), process.env['PATH']);
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
});
