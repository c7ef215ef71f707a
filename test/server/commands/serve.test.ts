import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { serveCommand, startCommand } from '../../support/command-line.ts';
import { told } from '../../support/told.ts';
import { until } from '../../support/until.ts';

const send = (url: string, method: string, text: string, agent = 'assistant') =>
  fetch(`${url}/agents/${agent}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'A2A-Version': '1.0' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: { message: { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text }] } },
    }),
  });

/** A model that takes ten seconds a word. */
const slow = 'llms: { default: { provider: echo, delay: 10s } }\n';

describe('hector serve', { concurrency: 2 }, () => {
  test('without anything: the banner on standard output and nothing else, its curl line works, SIGTERM ends it with 0', async () => {
    await using hector = await serveCommand([]);
    assert.match(hector.stdout(), /^Hector 2\.0\.0\n[\s\S]*Config +built-in defaults \([0-9a-f]{12}\)\n/);
    const line =
      hector
        .stdout()
        .split('\n')
        .find((each) => each.trim().startsWith('curl')) ?? '';
    const answer = execFileSync('sh', ['-c', line], { encoding: 'utf8' });
    assert.match(answer, /"TASK_STATE_COMPLETED"[\s\S]*Hello!/);
    assert.equal(((await (await fetch(`${hector.url}/health`)).json()) as { status: string }).status, 'healthy');
    const banner = hector.stdout();
    hector.process.kill('SIGTERM');
    assert.equal(await hector.exited, 0);
    assert.equal(hector.stdout(), banner);
    assert.match(hector.stderr(), /INFO {2}serving [\s\S]*INFO {2}shut down signal=SIGTERM\n$/);
    assert.deepEqual(readdirSync(hector.folder), []);
  });

  test('.hector/config.yaml is read if it is there; flags win over the environment, that over the file; no secret is shown', async () => {
    const files = {
      '.hector/config.yaml':
        'llms: { default: { provider: echo } }\nlogger: { level: error, format: verbose }\nagents: { writer: {} }\n',
    };
    const flags = [
      '--provider',
      'openai',
      '--model',
      'gpt-x',
      '--api-key',
      'sk-canary-1234',
      '--log-level',
      'debug',
      '--base-url',
      'http://127.0.0.1:9/v1',
    ];
    await using hector = await serveCommand(flags, { files, env: { LOG_FORMAT: 'json', LOG_LEVEL: 'warn' } });
    assert.match(hector.stdout(), /writer +http:\S+\/agents\/writer +\(openai\/gpt-x\)/);
    assert.match(hector.stdout(), /Config +\.hector\/config\.yaml/);
    const failed = await (await send(hector.url, 'SendMessage', 'Hi', 'writer')).text();
    assert.match(failed, /TASK_STATE_FAILED/);
    hector.process.kill('SIGINT');
    assert.equal(await hector.exited, 0);
    const lines = hector
      .stderr()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.ok(lines.some((line) => line.level === 'debug' && line.msg === 'request' && line.requestId));
    assert.doesNotMatch(hector.stdout() + hector.stderr() + failed, /canary/);
    assert.deepEqual(readdirSync(hector.folder), ['.hector']);
  });

  test('SIGTERM with an open stream: not ready at once, the stream ends with its task failed and why, exit 0', async () => {
    const files = { 'hector.yaml': `${slow}server: { shutdown: { delay: 500ms, timeout: 300ms } }\n` };
    await using hector = await serveCommand(['-c', 'hector.yaml'], { files });
    const stream = await send(hector.url, 'SendStreamingMessage', 'one two three');
    const text = stream.text();
    hector.process.kill('SIGTERM');
    await until(async () => (await fetch(`${hector.url}/health`)).status === 503);
    const during = await fetch(`${hector.url}/.well-known/agent-card.json`);
    assert.deepEqual([during.status, during.headers.get('connection')], [200, 'close']);
    const events = (await text).split('\n').filter((line) => line.startsWith('data:'));
    assert.match(events.at(-1) ?? '', /TASK_STATE_FAILED[\s\S]*Hector is shut down \(SIGTERM\)/);
    assert.equal(await hector.exited, 0);
  });

  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    test(`a second ${signal} ends the process at once with ${code}`, async () => {
      await using hector = await serveCommand(['-c', 'hector.yaml'], { files: { 'hector.yaml': slow } });
      const stream = await send(hector.url, 'SendStreamingMessage', 'one two three');
      const broken = assert.rejects(stream.text());
      hector.process.kill(signal);
      await told(hector, /shutting down/);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(hector.process.exitCode, null);
      hector.process.kill(signal);
      assert.equal(await hector.exited, code);
      await broken;
    });
  }

  test('a port in use is one sentence, exit 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await using hector = await startCommand([
      'serve',
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--log-level',
      'error',
    ]);
    assert.equal(await hector.exited, 1);
    assert.equal(
      hector.stderr(),
      `error: Port ${port} on 127.0.0.1 is in use. Stop what uses it, or choose another port with --port or server.port.\n`,
    );
    assert.equal(hector.stdout(), '');
    taken.close();
  });

  test('an error that nobody caught is logged and ends the process with 1', async () => {
    const files = {
      'hector.yaml': 'plugins: [./crash.mjs]\nllms: { default: { provider: crash } }\n',
      'crash.mjs': `export default { apiVersion: 1, name: 'crash', provides: [{ point: 'llm', name: 'crash', description: 'Crashes',
        options: { type: 'object', properties: {} },
        create: () => ({ model: 'crash', async *chat() { Promise.reject(new Error('nobody catches this')); await new Promise((r) => setTimeout(r, 10_000)); } }) }] };`,
    };
    await using hector = await serveCommand(['-c', 'hector.yaml'], { files });
    void send(hector.url, 'SendMessage', 'Hi').catch(() => {});
    assert.equal(await hector.exited, 1);
    assert.match(
      hector.stderr(),
      /ERROR an error that nobody caught: the process ends origin=unhandledRejection err="nobody catches this"\n +at /,
    );
  });

  test('a log file gets the log, standard error nothing', async () => {
    await using hector = await serveCommand(['--log-file', 'logs/hector.log']);
    hector.process.kill('SIGTERM');
    assert.equal(await hector.exited, 0);
    assert.equal(hector.stderr(), '');
    assert.deepEqual(readdirSync(`${hector.folder}/logs`), ['hector.log']);
  });
});
