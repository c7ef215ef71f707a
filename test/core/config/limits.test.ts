import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../../core/config/issue.ts';
import { parse } from '../../../core/config/parse.ts';
import { load, problems } from '../../support/stand-ins.ts';

const environment = { OPENAI_API_KEY: 'sk-0123456789' };

/** Far above what it takes, far below what the same input costs without the limit. */
const soon = { timeout: 120_000 };

const sample = `# everything there is
version: "2"
name: &name "a \\"quoted\\" name"
llms:
  default: &llm
    provider: openai
    model: 'gpt'
    temperature: 0.5
    stop: [a, "b", {c: d}]
  other: {<<: *llm, api_key: "\${OPENAI_API_KEY:-none}"}
agents:
  assistant:
    llm: default
    instruction: |
      Be kind, \${NOBODY:-always}.
        { [ " ' $$
    description: >-
      folded
      text
    tools: [search]
    ? streaming
    : true
`;
const words = 'words, "quoted" and {braced}: 100% of ${NOBODY:-them} # and no comment ';
const longSample =
  sample +
  Array.from(
    { length: 4 },
    (_, i) => `  agent-${i}:\n    description: >\n      ${words.repeat(14)}\n    tools: []\n`,
  ).join('');

test('a document cut off anywhere is refused or loaded, and nothing else', soon, async () => {
  assert.ok(longSample.length > 4_000);
  for (let end = 0; end < longSample.length; end++) {
    try {
      await load(longSample.slice(0, end), { environment });
    } catch (error) {
      assert.ok(error instanceof ConfigError, `cut at ${end}: ${(error as Error).stack}`);
      assert.ok(error.issues.every(({ message }) => message.length > 0));
    }
  }
});

test('a document with any one character replaced is refused or loaded, and nothing else', soon, async () => {
  for (const character of [
    '\0',
    '\t',
    '{',
    ']',
    '"',
    ':',
    '-',
    '&',
    '*',
    '!',
    '%',
    '|',
    '\n',
    '\u2028',
    '\ud800',
    '?',
    '<<: ',
  ]) {
    for (let at = 0; at < sample.length; at += 7) {
      try {
        await load(sample.slice(0, at) + character + sample.slice(at + 1), { environment });
      } catch (error) {
        assert.ok(error instanceof ConfigError, `${JSON.stringify(character)} at ${at}: ${(error as Error).stack}`);
      }
    }
  }
});

test('twenty thousand brackets are refused before they are read', soon, async () => {
  for (const bracket of ['[', '{', '[{', '- ', '? ', '{a: ', '[? ']) {
    const [found] = await problems(`name: ${bracket.repeat(20_000)}`);
    assert.ok(found, bracket);
  }
  assert.deepEqual(await problems(`name: ${'['.repeat(20_000)}`), ['hector.yaml:1:70: nested more than 64 deep']);
  assert.deepEqual(await problems(`a:\n  ${'- '.repeat(20_000)}x`), ['hector.yaml:2:129: nested more than 64 deep']);
});

test('brackets in text are text', async () => {
  const brackets = '{['.repeat(200);
  const { config } = await load(`description: |\n  ${brackets}\nname: "${brackets}" # ${brackets}\n`, { environment });
  assert.equal(config.name, brackets);
  assert.equal(config.description, `${brackets}\n`);
});

test('a bomb of aliases does not go off', soon, async () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) =>
      `a${i}: &a${i} [${
        i === 0
          ? 'x'
          : Array(9)
              .fill(`*a${i - 1}`)
              .join(', ')
      }]`,
  );
  const [found] = await problems(`${levels.join('\n')}\n`);
  assert.match(found ?? '', /: more than 100 aliases$/);

  const merges = Array.from(
    { length: 12 },
    (_, i) => `a${i}: &a${i} {${i === 0 ? 'x: 1' : `k: *a${i - 1}, l: *a${i - 1}, m: *a${i - 1}`}}`,
  );
  assert.match((await problems(`${merges.join('\n')}\n`))[0] ?? '', /: more than 100 aliases$/);

  const large = `a: &a [${'x, '.repeat(20_000)}]\n${Array.from({ length: 50 }, (_, i) => `b${i}: *a`).join('\n')}\n`;
  assert.match((await problems(large))[0] ?? '', /aliases repeat more than 100000 values$/);
});

test('an alias of what it is in is refused', soon, async () => {
  for (const text of ['a: &a [*a]\n', 'a: &a\n  b: *a\n', 'a: &a\n  <<: *a\n']) {
    const [found] = await problems(text);
    assert.match(found ?? '', /more than 64 deep|more than 100 aliases|no anchor/);
  }
});

test('a hundred aliases are fine', async () => {
  const agents = Array.from({ length: 100 }, (_, i) => `  a${i}: *base`).join('\n');
  const { config } = await load(`agents:\n  base: &base {description: x}\n${agents}\n`, { environment });
  assert.equal(config.agents['a99']?.description, 'x');
});

test('more than 4 MiB are not read', async () => {
  const text = `name: ${'é'.repeat(2 * 1024 * 1024)}\n`;
  assert.deepEqual(await problems(text), [
    `hector.yaml:1:1: the document has ${Buffer.byteLength(text)} bytes; at most 4 MiB (4194304) are read`,
  ]);
});

test('the whole of a document is never in Object.prototype', async () => {
  await assert.rejects(load('llms: {"__proto__": {polluted: true}}\n', { environment }), ConfigError);
  await assert.rejects(
    load('base: &b {"__proto__": {polluted: true}}\nllms: {<<: *b}\n', { environment }),
    ConfigError,
  );
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('places are counted as editors count', () => {
  const text = '\ufeffa: 1\r\nb: "é😀"\r\na: 2\r\n';
  const { issues } = parse(
    { source: 'hector.yaml', text, layer: 'document', folder: undefined, whole: true },
    { origins: new WeakMap() },
  );
  assert.deepEqual(
    issues.map(({ line, column }) => [line, column]),
    [[3, 1]],
  );
});
