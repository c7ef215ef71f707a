import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startCommand } from '../support/command-line.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { type Answered, ask, rpcBody, uses } from '../support/surfaces.ts';
import { until } from '../support/until.ts';

const agents = `
llms: { default: { provider: echo } }
agents:
  open: {}
  inner: { visibility: internal }
  hidden: { visibility: private }
  scoped: { allow: [{ scopes: [run, write] }] }
  roled: { allow: [{ roles: [operator] }] }
  named: { allow: [{ subjects: [ada] }, { subjects: [bob], scopes: [write] }] }
  strict: { visibility: internal, allow: [{ scopes: [write], roles: [operator] }] }
`;
const config = `${agents}
server:
  openai: { enabled: true }
  mcp: { enabled: true }
  auth:
    enabled: true
    require_auth: false
    api_keys:
      - { key: key-of-ada, subject: ada }
      - { key: key-of-bob, subject: bob, scopes: [run] }
      - { key: key-of-cy, subject: cy, scopes: [write], roles: [operator] }
`;
const callers = { nobody: undefined, ada: 'key-of-ada', bob: 'key-of-bob', cy: 'key-of-cy' };
type Caller = keyof typeof callers;

/** What each caller gets of each agent: 404 is an agent that is not there for him. */
const wanted: Readonly<Record<string, Readonly<Record<Caller, 200 | 401 | 403 | 404>>>> = {
  open: { nobody: 200, ada: 200, bob: 200, cy: 200 },
  inner: { nobody: 404, ada: 200, bob: 200, cy: 200 },
  hidden: { nobody: 404, ada: 404, bob: 404, cy: 404 },
  scoped: { nobody: 401, ada: 403, bob: 200, cy: 200 },
  roled: { nobody: 401, ada: 403, bob: 403, cy: 200 },
  named: { nobody: 401, ada: 200, bob: 403, cy: 403 },
  strict: { nobody: 404, ada: 403, bob: 403, cy: 200 },
};

/** MCP has no status of its own for a tool that is not there. */
const statusOf = ({ status, body }: Answered): number =>
  status === 200 && String(body).includes('There is no tool') ? 404 : status;

describe('visibility and allow', () => {
  let hector: Hector;
  before(async () => {
    hector = await startHector({ config, args: ['--watch'] });
  });
  after(() => hector[Symbol.asyncDispose]());

  for (const [surface, use] of Object.entries(uses)) {
    test(`by ${surface}`, async () => {
      for (const [agent, answers] of Object.entries(wanted))
        for (const [caller, status] of Object.entries(answers)) {
          const answered = await use(hector.url, agent, callers[caller as Caller]);
          const told = `${caller} at ${agent}: ${JSON.stringify(answered.body)}`;
          assert.equal(statusOf(answered), status, told);
          if (status === 401) assert.equal(answered.headers.get('www-authenticate'), 'Bearer realm="hector"', told);
          if (status === 403) assert.match(answered.headers.get('www-authenticate') ?? '', /insufficient_scope/, told);
          if (status !== 200) assert.doesNotMatch(JSON.stringify(answered.body), /write|operator|"ada"|scopes/, told);
        }
    });
  }

  test('cards and the list of agents are for whoever may know of an agent', async () => {
    for (const [caller, key] of Object.entries(callers)) {
      const known = Object.keys(wanted).filter((agent) => wanted[agent]?.[caller as Caller] !== 404);
      const { body } = await ask(`${hector.url}/agents`, key);
      assert.deepEqual(
        body.agents.map(({ url }: { url: string }) => url.split('/').at(-1)),
        known,
        caller,
      );
      for (const agent of Object.keys(wanted)) {
        const { status } = await ask(`${hector.url}/agents/${agent}/.well-known/agent-card.json`, key);
        assert.equal(status, known.includes(agent) ? 200 : 404, `${caller} at ${agent}`);
      }
    }
  });

  test('what clients offer to their users is what these may use', async () => {
    for (const [caller, key] of Object.entries(callers)) {
      const usable = Object.keys(wanted).filter((agent) => wanted[agent]?.[caller as Caller] === 200);
      const models = await ask(`${hector.url}/v1/models`, key);
      assert.deepEqual(
        models.body.data.map(({ id }: { id: string }) => id),
        usable,
        caller,
      );
      const tools = await ask(`${hector.url}/mcp`, key, rpcBody('tools/list', {}), {
        headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' },
      });
      const text = typeof tools.body === 'string' ? tools.body : JSON.stringify(tools.body);
      assert.deepEqual(
        [...text.matchAll(/"name":"ask_(\w+)"/g)].map(([, name]) => name),
        usable,
        caller,
      );
    }
  });

  test('a card says that credentials are needed where they are, though not for every agent', async () => {
    const required = async (agent: string) =>
      'securityRequirements' in (await ask(`${hector.url}/agents/${agent}`, callers.ada)).body;
    assert.deepEqual([await required('open'), await required('inner'), await required('scoped')], [false, true, true]);
  });

  test('who may use an agent changes with the configuration, from the next request on', async () => {
    const use = uses['JSON-RPC 1.0'];
    assert.equal((await use?.(hector.url, 'scoped', callers.ada))?.status, 403);
    await writeFile(
      join(hector.folder, 'config.yaml'),
      config.replace('{ scopes: [run, write] }', '{ subjects: [ada] }'),
    );
    await until(async () => (await use?.(hector.url, 'scoped', callers.ada))?.status === 200);
    assert.equal((await use?.(hector.url, 'scoped', callers.cy))?.status, 403);
  });
});

test('allow without authentication is an error that says what to do', async () => {
  const files = { 'config.yaml': agents };
  await using command = await startCommand(['validate', 'config.yaml'], { files });
  assert.equal(await command.exited, 1);
  for (const agent of ['scoped', 'roled', 'named', 'strict'])
    assert.match(
      command.stderr(),
      new RegExp(`agents\\.${agent}\\.allow: .*server\\.auth is off.*Enable server\\.auth`),
    );
});

describe('server.admin', () => {
  const admin = `${config}  admin: { port: 0 }\n  studio: { enabled: true }\n`;

  test('has what the process tells of itself, and the other address has not', async () => {
    await using hector = await startHector({ config: admin });
    const adminUrl = /Admin +(http:\S+)/.exec(hector.stdout())?.[1] ?? '';
    assert.notEqual(adminUrl, hector.url);
    for (const path of ['/metrics', '/api/config/status', '/api/config']) {
      assert.equal((await ask(`${hector.url}${path}`, callers.cy)).status, 404, path);
      assert.equal((await ask(`${adminUrl}${path}`, callers.cy)).status, 200, path);
    }
    assert.equal((await ask(`${adminUrl}/metrics`, undefined)).status, 200, 'Prometheus needs no key there');
    assert.equal((await ask(`${adminUrl}/api/config`, undefined)).status, 401);
    assert.equal((await ask(`${adminUrl}/api/config`, callers.bob)).status, 403);
    assert.equal((await ask(`${adminUrl}/health/ready`, undefined)).status, 200);
    for (const path of ['/agents', '/agents/open', '/.well-known/agent-card.json', '/v1/models'])
      assert.equal((await ask(`${adminUrl}${path}`, callers.cy)).status, 404, path);
    assert.equal(await hector.stop(), 0);
  });

  test('is moved by a new start, and that is told', async () => {
    await using hector = await startHector({ config: admin, args: ['--watch'] });
    const adminUrl = /Admin +(http:\S+)/.exec(hector.stdout())?.[1] ?? '';
    await writeFile(join(hector.folder, 'config.yaml'), config);
    await until(async () => {
      const { body } = await ask(`${adminUrl}/api/config/status`, callers.cy);
      return body.serving.restart_required.includes('server.admin');
    });
  });

  test('an address that is taken ends the start, with its key', async () => {
    await using first = await startHector({ config: admin });
    const port = /Admin +http:\S+:(\d+)/.exec(first.stdout())?.[1];
    const files = { 'config.yaml': config.replace('  openai:', `  admin: { port: ${port} }\n  openai:`) };
    await using command = await startCommand(['serve', '--port', '0', '--config', 'config.yaml'], { files });
    assert.equal(await command.exited, 1);
    assert.match(command.stderr(), /in use.* server\.admin\.port/);
    assert.equal((await ask(`${first.url}/health`, undefined)).status, 200);
  });
});
