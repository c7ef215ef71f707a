import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { answer, connect, send } from '../support/a2a-client.ts';
import { configStatus, metric, rewrite, serves } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { held, heldConfig, instanceLog, openGate, startHeld } from '../support/held-work.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

const said = async ({ url }: Hector) => answer(await send(await connect(url, 'talker'), 'hello'));

const reload = ({ url }: Hector) => fetch(`${url}/api/config/reload`, { method: 'POST' });

test('without --watch a change waits for SIGHUP or for POST /api/config/reload, and each acts once', async () => {
  await using hector = await startHeld(heldConfig('one'), []);
  assert.equal((await configStatus(hector)).watching, false);
  await rewrite(hector, heldConfig('two'));
  // Longer than a watcher would take.
  await sleep(1_000);
  assert.equal(await said(hector), 'begun by one finished by one');

  hector.process.kill('SIGHUP');
  await until(() => serves(hector, heldConfig('two')));
  assert.equal(await said(hector), 'begun by two finished by two');

  await rewrite(hector, heldConfig('three'));
  const response = await reload(hector);
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { result: string }).result, 'success');
  assert.equal(await said(hector), 'begun by three finished by three');
  assert.equal(((await (await reload(hector)).json()) as { result: string }).result, 'noop');
  assert.equal(await metric(hector, 'hector_config_reloads_total', 'result="success"'), 3);
});

test('a configuration that is refused changes nothing, whoever asked for it', async () => {
  await using hector = await startHeld(heldConfig('one'), []);
  await rewrite(hector, heldConfig('two').replace('llm: gated', 'llm: gatd'));
  const response = await reload(hector);
  assert.equal(response.status, 422);
  assert.match(await response.text(), /no LLM is named \\"gatd\\"/);
  hector.process.kill('SIGHUP');
  await until(async () => (await metric(hector, 'hector_config_reloads_total', 'result="rejected"')) === 2);
  assert.equal((await configStatus(hector)).state, 'rejected');
  assert.equal(await said(hector), 'begun by one finished by one');
});

test('while it shuts down nothing is swapped any more, and the stream that it waits for finishes', async () => {
  await using hector = await startHeld(heldConfig('one', { server: 'shutdown: { delay: 2s, timeout: 20s }' }));
  const stream = await held(hector, 'hold a');
  hector.process.kill('SIGTERM');
  await until(async () => (await fetch(`${hector.url}/health/ready`)).status === 503);
  await rewrite(hector, heldConfig('two'));
  hector.process.kill('SIGHUP');
  assert.notEqual((await reload(hector)).status, 200);
  assert.equal(await said(hector), 'begun by one finished by one');
  await openGate(hector, 'a');
  assert.equal((await stream.ended()).text, 'begun by one finished by one');
  await until(() => hector.process.exitCode !== null, 30_000);
  assert.equal(hector.process.exitCode, 0);
  assert.ok(!instanceLog(hector).some((line) => line.includes('two')), 'nothing was made of what came later');
});

test('a shutdown in the middle of a reload: what was being made is disposed, and the process ends with 0', async () => {
  await using hector = await startHeld(heldConfig('one'));
  await rewrite(hector, heldConfig('two').replace('tag: two', 'tag: two, waits: later'));
  await until(() => instanceLog(hector).includes('waiting gated two'));
  hector.process.kill('SIGTERM');
  await told(hector, /shutting down/);
  await openGate(hector, 'later');
  await until(() => hector.process.exitCode !== null, 30_000);
  assert.equal(hector.process.exitCode, 0);
  const lines = instanceLog(hector);
  for (const line of ['create gated two 1', 'dispose gated two 1', 'dispose gated one 1'])
    assert.equal(lines.filter((each) => each === line).length, 1, `${line} in ${lines}`);
});

test('what is likely not meant is told of a reload, too', async () => {
  const config = 'llms: { default: { provider: echo } }\n';
  await using hector = await startHector({ config, args: ['--watch'] });
  await writeFile(join(hector.folder, 'config.yaml'), `${config}guardrails: { strict: {} }\n`);
  await told(hector, /WARN .*config\.yaml:2:1 guardrails: is accepted but not acted on/);
});
