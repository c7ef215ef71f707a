import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { userMessage } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { ask, rpcBody } from '../support/surfaces.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

type Line = Readonly<Record<string, unknown>>;

const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      assert.doesNotThrow(() => JSON.parse(line), `no JSON: ${line}`);
      return JSON.parse(line) as Line;
    });

/** A tool that does what a log has to cope with, and a model that fails with several lines of Unicode. */
const plugin = `
let told = false;
const tools = {
  point: 'toolset', name: 'noisy', description: 'Says much', options: { type: 'object', properties: {} },
  create: (_, { logger }) => ({ tools: async () => [{
    name: 'shout', description: 'Shouts', parameters: { type: 'object', properties: {} },
    async execute(_args, context) {
      context.logger.info({ odd: 'line 1\\nline 2 \\u2028 \\u{1F600} "quoted" \\\\ \\u0007' }, 'a tool\\nwith two lines');
      process.emitWarning('old\\nfashioned', 'DeprecationWarning');
      throw new Error('broken\\n  in two \\u{1F4A5}');
    },
  }] }),
};
export default { apiVersion: 1, name: 'test/noisy', provides: [tools] };
`;

const config = (more = '', logger = 'format: json, level: debug') => `
plugins: [./noisy.mjs]
llms: { default: { provider: echo } }
tools: { noise: { type: noisy } }
agents: { talker: { tools: [noise] } }
logger: { ${logger} }
${more}`;
const files = { 'noisy.mjs': plugin };
const tracing = 'observability: { tracing: { enabled: true, exporter: otlp-http, endpoint: "127.0.0.1:9" } }\n';

const send = (hector: Hector, text: string, requestId: string, agent = 'talker') =>
  ask(`${hector.url}/agents/${agent}`, undefined, rpcBody('SendMessage', { message: userMessage(text) }), {
    headers: { 'x-request-id': requestId },
  });

test('every line from the start to the end is JSON with level, time and msg, whatever happens', async () => {
  await using hector = await startHector({ config: config(tracing), files, args: ['--watch'] });
  await send(hector, 'call shout', 'r1');
  await send(hector, 'hello', 'r2', 'nobody');
  await ask(`${hector.url}/agents/talker`, undefined, undefined, { method: 'POST', body: '{"broken' });
  await writeFile(join(hector.folder, 'config.yaml'), 'agents: [\n  "no\n');
  await told(hector, /refused a configuration/);
  assert.equal(await hector.stop(), 0);
  const lines = linesOf(hector.stderr());
  for (const line of lines) {
    assert.match(String(line['level']), /^(debug|info|warn|error)$/, JSON.stringify(line));
    assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(typeof line['msg'], 'string');
  }
  const messages = lines.map(({ msg }) => msg);
  for (const expected of ['serving', 'a tool\nwith two lines', 'a warning of Node', 'shutting down', 'shut down']) {
    assert.ok(messages.includes(expected), `${expected}: ${messages.join(' | ')}`);
  }
  const shouted = lines.find(({ msg }) => msg === 'a tool\nwith two lines');
  assert.equal(shouted?.['odd'], 'line 1\nline 2 \u2028 \u{1F600} "quoted" \\ \u0007');
});

test('a line of the work on a message has request, task, agent and generation, and with tracing trace and span', async () => {
  await using hector = await startHector({ config: config(tracing), files });
  const { body } = await send(hector, 'call shout', 'r1');
  const { id } = body.result.task;
  await hector.stop();
  const lines = linesOf(hector.stderr());
  const own = lines.filter(({ msg }) => msg === 'a tool\nwith two lines' || msg === 'tool call failed');
  assert.equal(own.length, 2);
  for (const line of own) {
    const { requestId, task, agent, generation } = line;
    assert.deepEqual(
      { requestId, task, agent, generation },
      { requestId: 'r1', task: id, agent: 'talker', generation: 1 },
    );
  }
  const request = lines.find((line) => line['msg'] === 'request' && line['requestId'] === 'r1');
  assert.equal(request?.['agent'], 'talker');
  assert.equal(request?.['generation'], 1);
  for (const line of [...own, request]) {
    assert.match(String(line?.['trace_id']), /^[0-9a-f]{32}$/);
    assert.equal(line?.['trace_id'], request?.['trace_id']);
    assert.match(String(line?.['span_id']), /^[0-9a-f]{16}$/);
  }
  assert.notEqual(own[0]?.['span_id'], request?.['span_id'], 'the span of the tool is not that of the request');
});

test('a change of the level is for the next line', async () => {
  await using hector = await startHector({
    config: config('', 'format: json, level: info'),
    files,
    args: ['--watch'],
  });
  await send(hector, 'hello', 'quiet');
  await replace(hector, config('', 'format: json, level: debug'));
  await send(hector, 'hello', 'loud');
  await told(hector, /"loud"/);
  await replace(hector, config('', 'format: json, level: error'));
  await send(hector, 'call shout', 'silent');
  await hector.stop();
  const ids = linesOf(hector.stderr()).map(({ requestId }) => requestId);
  assert.ok(!ids.includes('quiet') && ids.includes('loud') && !ids.includes('silent'), ids.join());
});

test('SIGUSR2 ends no process that logs to standard error', async () => {
  await using hector = await startHector({ config: config(), files });
  hector.process.kill('SIGUSR2');
  assert.equal((await send(hector, 'hello', 'r1')).status, 200);
  assert.equal(await hector.stop(), 0);
});

const logrotate = spawnSync('logrotate', ['--version']).error ? 'there is no logrotate here' : false;

describe('a log file that is rotated loses no line', () => {
  /** Keeps asking while `rotate` is called three times; then all lines of all files. */
  async function rotated(rotate: (hector: Hector, n: number) => Promise<void>): Promise<void> {
    await using hector = await startHector({ config: config(), files, args: ['--log-file', 'logs/hector.log'] });
    const folder = join(hector.folder, 'logs');
    const asked: string[] = [];
    let over = false;
    const asking = Array.from({ length: 4 }, async (_, who) => {
      for (let n = 0; !over; n++) {
        const id = `r-${who}-${n}`;
        await (await fetch(`${hector.url}/agents`, { headers: { 'x-request-id': id } })).arrayBuffer();
        asked.push(id);
      }
    });
    const current = join(folder, 'hector.log');
    const sizeAbove = async (bytes: number) => (await readFile(current, 'utf8').catch(() => '')).length > bytes;
    for (let n = 1; n <= 3; n++) {
      await until(() => sizeAbove(5_000));
      await rotate(hector, n);
      await until(() => sizeAbove(0), 20_000);
    }
    over = true;
    await Promise.all(asking);
    assert.equal(await hector.stop(), 0);
    const names = await readdir(folder);
    assert.equal(names.length, 4, names.join());
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    const told = texts
      .flatMap((text) => linesOf(text))
      .flatMap(({ requestId, msg }) => (msg === 'request' ? [requestId] : []));
    assert.deepEqual(told.sort(), asked.sort());
    assert.equal(hector.stderr(), '');
  }
  const current = ({ folder }: Hector) => join(folder, 'logs', 'hector.log');

  test('by a rename and SIGUSR2', () =>
    rotated(async (hector, n) => {
      await rename(current(hector), `${current(hector)}.${n}`);
      hector.process.kill('SIGUSR2');
    }));

  test('by a rename and nothing else', () =>
    rotated((hector, n) => rename(current(hector), `${current(hector)}.${n}`)));

  test('by logrotate, as the documentation has it', { skip: logrotate }, () =>
    rotated(async (hector) => {
      const settings = join(hector.folder, 'rotate.conf');
      const pid = hector.process.pid;
      await writeFile(
        settings,
        `${current(hector)} {\n  rotate 7\n  missingok\n  nocreate\n  nocompress\n  postrotate\n    kill -USR2 ${pid}\n  endscript\n}\n`,
        { mode: 0o644 },
      );
      const state = join(hector.folder, 'rotate.state');
      const { status, stderr } = spawnSync('logrotate', ['-f', '-s', state, settings], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }),
  );
});
