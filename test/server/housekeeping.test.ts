import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { rpc, userMessage } from '../support/a2a-client.ts';
import { taskIn } from '../support/a2a-serving.ts';
import { serveCommand } from '../support/command-line.ts';
import { until } from '../support/until.ts';

const config = (retention: string) => `version: "2"
llms: { default: { provider: echo } }
agents: { assistant: {} }
databases: { main: { driver: sqlite, database: hector.db } }
storage:
  tasks: { backend: sql, database: main, retention: ${retention} }
  sessions: { backend: sql, database: main }
`;

test('what is older than its retention goes while Hector serves, as soon as a reload says so', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hector-housekeeping-'));
  try {
    const file = join(folder, 'config.yaml');
    await writeFile(file, config('90d'));
    await using served = await serveCommand(['-c', file]);
    const url = `${served.url}/agents/assistant`;
    const { id } = taskIn(await rpc(url, 'SendMessage', { message: userMessage('Hello') }, { version: '1.0' }));
    const known = async () => (await rpc(url, 'GetTask', { id }, { version: '1.0' })).body.error === undefined;
    assert.ok(await known());
    await writeFile(file, config('1s'));
    served.process.kill('SIGHUP');
    await until(async () => !(await known()), 40_000);
    // The loop does not keep the process from ending.
    served.process.kill('SIGTERM');
    assert.equal(await served.exited, 0, served.stderr());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
