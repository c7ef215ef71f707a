import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPath } from '../../../core/config/issue.ts';
import { load, problems } from '../../support/stand-ins.ts';

const document = (checkpoint: string) => `agents: { a: {} }\nllms: { default: { provider: echo } }\nstorage:
  checkpoint: ${checkpoint}
`;

async function warnings(checkpoint: string): Promise<string[]> {
  const snapshot = await load(document(checkpoint));
  return snapshot.warnings.map(
    ({ line, column, path, message }) => `${line}:${column} ${formatPath(path)}: ${message}`,
  );
}

test('a strategy that counts model calls needs a number of them', async () => {
  for (const strategy of ['interval', 'hybrid']) {
    assert.deepEqual(await problems(document(`{ enabled: true, strategy: ${strategy} }`)), [
      `hector.yaml:4:32 storage.checkpoint.strategy: "${strategy}" needs "interval:", the number of model calls between two checkpoints. Write interval: 5, say, or strategy: event`,
    ]);
    assert.deepEqual(await warnings(`{ enabled: true, strategy: ${strategy}, interval: 3 }`), []);
    assert.deepEqual(await warnings(`{ strategy: ${strategy} }`), [], 'it is off');
  }
  assert.deepEqual(await warnings('{ enabled: true, interval: 3 }'), [
    '4:32 storage.checkpoint.interval: has no effect with strategy: event. Write strategy: interval, or hybrid for both',
  ]);
});

test('what is to be resumed must have been written down', async () => {
  const off =
    'has no effect, since storage.checkpoint.enabled is false: a task whose process has ended fails. Write enabled: true';
  assert.deepEqual(await warnings('{ recovery: { auto_resume: true, auto_resume_hitl: true } }'), [
    `4:29 storage.checkpoint.recovery.auto_resume: ${off}`,
    `4:48 storage.checkpoint.recovery.auto_resume_hitl: ${off}`,
  ]);
  assert.deepEqual(await warnings('{ enabled: true, recovery: { auto_resume: true, auto_resume_hitl: true } }'), []);
  assert.deepEqual(await warnings('{ enabled: true, recovery: { auto_resume_hitl: true } }'), [
    '4:44 storage.checkpoint.recovery.auto_resume_hitl: has no effect without auto_resume. Write auto_resume: true too',
  ]);
});

test('the section of version 2 loads as it is written there, beside the server or in it', async () => {
  const checkpoint =
    '{ enabled: true, strategy: hybrid, interval: 5, after_tools: true, before_llm: true, recovery: { auto_resume: true, auto_resume_hitl: false, timeout: 3600 } }';
  assert.deepEqual(await warnings(checkpoint), []);
  const { config } = await load(`server: { checkpoint: ${checkpoint} }\nllms: { default: { provider: echo } }\n`);
  assert.deepEqual([config.storage.checkpoint.interval, config.storage.checkpoint.recovery.timeout], [5, 3600]);
});

test('a key that is not there, and a value that cannot be', async () => {
  const known = await problems(document('{ enabled: true, strategie: event }'));
  assert.match(known[0] ?? '', /^hector\.yaml:4:32 storage\.checkpoint\.strategie: .*"strategy"/);
  for (const [wrong, place] of [
    ['{ strategy: never }', 'strategy'],
    ['{ interval: -1 }', 'interval'],
    ['{ recovery: { timeout: 0 } }', 'recovery.timeout'],
    ['{ recovery: { timeout: soon } }', 'recovery.timeout'],
  ] as const) {
    const found = await problems(document(wrong));
    assert.equal(found.length, 1, found.join('\n'));
    assert.ok(found[0]?.includes(`storage.checkpoint.${place}: `), found[0]);
  }
});
