import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { postgresMissing, startPostgres } from '../services/postgres.ts';
import { Canaries } from '../support/canaries.ts';
import { drained, replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { held, heldConfig, openGate, startHeld } from '../support/held-work.ts';
import { ask } from '../support/surfaces.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const status = async ({ url }: Pick<Hector, 'url'>, key?: string) => ask(`${url}/api/status`, key);

const keys = `
server:
  auth:
    enabled: true
    api_keys:
      - { key: key-of-ada-0123456789, subject: ada }
      - { key: key-of-cy-0123456789, subject: cy, roles: [operator] }
  studio: { allowed_roles: [operator] }
`;
const [ada, cy] = ['key-of-ada-0123456789', 'key-of-cy-0123456789'];

describe('who may see the status', () => {
  const agents = 'llms: { default: { provider: echo } }\nagents: { a: {} }\n';

  test('with authentication whoever has a role of server.studio.allowed_roles', async () => {
    await using hector = await startHector({ config: agents + keys });
    assert.equal((await status(hector)).status, 401);
    assert.equal((await status(hector, ada)).status, 403);
    const { status: code, headers, body } = await status(hector, cy);
    assert.equal(code, 200);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(body.auth, ['api-key']);
  });

  test('with server.admin it is there, and not beside the agents', async () => {
    await using hector = await startHector({ config: `${agents}${keys}  admin: { port: 0 }\n` });
    const url = /Admin +(http:\S+)/.exec(hector.stdout())?.[1] ?? '';
    assert.equal((await status(hector, cy)).status, 404);
    assert.equal((await status({ url }, ada)).status, 403);
    assert.equal((await status({ url }, cy)).status, 200);
  });

  test('without authentication this machine, and nothing that came through a proxy', async () => {
    await using hector = await startHector({ config: agents });
    assert.equal((await status(hector)).status, 200);
    const forwarded = await ask(`${hector.url}/api/status`, undefined, undefined, {
      headers: { 'x-forwarded-for': '203.0.113.9' },
    });
    assert.equal(forwarded.status, 403);
    assert.equal(forwarded.body.error.code, 'not_local', JSON.stringify(forwarded.body));
  });
});

test('it tells of the build, the process, what serves and where things are kept; and no value of an option', async () => {
  const canaries = new Canaries();
  const names = ['LLM_KEY', 'TOOL_TOKEN', 'TRACE_TOKEN', 'INSTRUCTION'];
  const env = Object.fromEntries(names.map((name) => [name, canaries.of(name)]));
  const config = `
llms:
  default: { provider: echo }
  far: { provider: openai, model: gpt-x, api_key: "\${LLM_KEY}", base_url: "http://127.0.0.1:9/v1" }
tools:
  search: { url: "http://127.0.0.1:9/mcp", headers: { Authorization: "Bearer \${TOOL_TOKEN}" } }
databases: { main: { driver: sqlite, database: kept.db } }
storage: { tasks: { backend: sql, database: main } }
agents:
  talker: { instruction: "\${INSTRUCTION}" }
  thinker: { llm: far, visibility: internal }
  both: { type: sequential, sub_agents: [talker, thinker] }
observability: { tracing: { enabled: true, endpoint: "127.0.0.1:9", headers: { x-token: "\${TRACE_TOKEN}" } } }
`;
  await using hector = await startHector({ config, env });
  const { body } = await status(hector);
  assert.match(body.build.version, /^2\.\d+\.\d+/);
  assert.equal(body.build.node, process.version);
  assert.equal(body.process.pid, hector.process.pid);
  assert.ok(body.process.memory_bytes > 10_000_000);
  assert.ok(!Number.isNaN(Date.parse(body.process.started)));
  assert.equal(body.process.draining, false);
  assert.equal(body.generation.id, 1);
  assert.match(body.generation.hash, /^[0-9a-f]{12}$/);
  assert.deepEqual(body.agents, [
    { name: 'talker', type: 'llm', visibility: 'public', llm: 'default' },
    { name: 'thinker', type: 'llm', visibility: 'internal', llm: 'far' },
    { name: 'both', type: 'sequential', visibility: 'public' },
  ]);
  assert.deepEqual(body.llms, [
    { name: 'default', provider: 'echo', model: 'echo' },
    { name: 'far', provider: 'openai', model: 'gpt-x' },
  ]);
  assert.deepEqual(body.tools, [{ name: 'search', type: 'mcp', enabled: true }]);
  assert.deepEqual(body.storage, {
    check: 'ok',
    tasks: { backend: 'sql', database: 'main', driver: 'sqlite' },
    sessions: { backend: 'inmemory' },
  });
  assert.equal(body.config.state, 'current');
  canaries.saw('the status', JSON.stringify(body));
  assert.equal(await hector.stop(), 0);
  canaries.saw('the log', hector.stderr());
  canaries.assertUnseen();
});

test('work in flight, and a replaced generation as long as it has some', async () => {
  await using hector = await startHeld(heldConfig('one'));
  const idle = (await status(hector)).body.in_flight;
  assert.equal(idle.tasks, 0);
  assert.deepEqual(idle.draining, []);
  const stream = await held(hector, 'hold a');
  const busy = (await status(hector)).body.in_flight;
  assert.equal(busy.tasks, 1);
  assert.ok(busy.leases > idle.leases);

  await replace(hector, heldConfig('two'));
  const { body } = await status(hector);
  assert.equal(body.generation.id, 2);
  assert.equal(body.in_flight.tasks, 1, 'the task of the generation before');
  assert.deepEqual(
    body.in_flight.draining.map(({ generation }: { generation: number }) => generation),
    [1],
  );
  assert.ok(body.in_flight.draining[0].leases > 0);

  await openGate(hector, 'a');
  await stream.ended();
  await drained(hector);
  await until(async () => (await status(hector)).body.in_flight.tasks === 0);
  assert.deepEqual((await status(hector)).body.in_flight.draining, []);
});

test('a database that says nothing any more is unreachable, and nobody waits for it', {
  skip: postgresMissing,
}, async () => {
  await using server = await startPostgres();
  await using proxy = await startTcpProxy(server.port);
  const database = await server.createDatabase();
  const main = `driver: postgres, host: 127.0.0.1, port: ${proxy.port}, database: ${database}, user: ${server.user}, password: "\${DB_PASSWORD}"`;
  await using hector = await startHector({
    config: `
llms: { default: { provider: echo } }
databases: { main: { ${main} } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
agents: { a: {} }
`,
    env: { DB_PASSWORD: server.password },
  });
  await until(async () => (await status(hector)).body.storage.check === 'ok');
  proxy.blackhole();
  await until(async () => (await status(hector)).body.storage.check === 'unreachable');
  const { body } = await status(hector);
  assert.equal(body.generation.id, 1, 'the rest of it is told all the same');
  assert.ok(!JSON.stringify(body).includes(server.password));
  proxy.heal();
  await until(async () => (await status(hector)).body.storage.check === 'ok');
});
