import assert from 'node:assert/strict';
import { test } from 'node:test';
import { legacyServer, streamableServer } from '../plugins/tools/mcp/http-servers.ts';
import { isAlive, serverFile } from '../plugins/tools/mcp/mcp-toolset.ts';
import { answer, answerOf, connect, send, stream } from '../support/a2a-client.ts';
import { replace } from '../support/config-status.ts';
import { type Hector, startHector } from '../support/hector.ts';
import { told } from '../support/told.ts';
import { until } from '../support/until.ts';

interface Identity {
  readonly pid: number;
  readonly session: string;
}

const say = async ({ url }: Hector, text: string) => answer(await send(await connect(url, 'helper'), text));
const identity = async (hector: Hector, server: string): Promise<Identity> =>
  JSON.parse(await say(hector, `call ${server}_identity`)) as Identity;

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const processTools = (label: string) =>
  `  files: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(serverFile)}, ${label}] }\n`;
const configOf = (tools: string, instruction: string) => `
version: "2"
llms: { default: { provider: echo } }
tools:
${tools}agents:
  helper: { description: Helps, instruction: ${instruction} }
`;

test('an agent calls MCP tools; across hot swaps an unchanged server keeps its process and its session', async () => {
  await using web = await streamableServer({ token: 'sk-0123456789' });
  const webTools = `  web: { url: "${web.url}", headers: { Authorization: "Bearer \${WEB_TOKEN}" } }\n`;
  const config = configOf(processTools('one') + webTools, 'first');
  await using hector = await startHector({ config, args: ['--watch'], env: { WEB_TOKEN: 'sk-0123456789' } });
  assert.equal(await say(hector, 'call files_echo {"text": "from a process"}'), 'from a process');
  assert.equal(await say(hector, 'call web_echo {"text": "over HTTP"}'), 'over HTTP');
  const { pid } = await identity(hector, 'files');
  const { session } = await identity(hector, 'web');

  await replace(hector, configOf(processTools('one') + webTools, 'second'));
  assert.equal((await identity(hector, 'files')).pid, pid, 'the same process');
  assert.equal((await identity(hector, 'web')).session, session, 'the same session');
  assert.equal(web.sessions, 1);

  // A call under way on the one that is replaced comes to its end.
  const events = stream(await connect(hector.url, 'helper'), 'call files_slow {"steps": 10, "ms": 300}');
  const first = await events.next();
  assert.ok(!first.done, 'the task has begun');
  const rest = collected(events);
  await replace(hector, configOf(processTools('two') + webTools, 'second'));
  const next = await identity(hector, 'files');
  assert.notEqual(next.pid, pid, 'a changed server is another process');
  assert.ok(isAlive(pid), 'and the old one is there for the call');
  assert.equal(answerOf(await rest), 'done');
  await until(() => !isAlive(pid), 20_000);
  assert.equal((await identity(hector, 'web')).session, session);

  await replace(hector, configOf(processTools('two'), 'second'));
  await until(() => web.sessions === 0 && web.open === 0, 20_000);
  assert.equal((await identity(hector, 'files')).pid, next.pid);
  assert.equal(await hector.stop(), 0);
  assert.equal(isAlive(next.pid), false, 'nothing is left after the end');
  assert.ok(!hector.stderr().includes('sk-0123456789'));
});

test('a server that dies takes its call with it; the agent goes on, and so does the server', async () => {
  await using old = await legacyServer();
  const config = configOf(`${processTools('one')}  old: { url: "${old.url}" }\n`, 'x');
  await using hector = await startHector({ config });
  const { pid } = await identity(hector, 'files');
  assert.match(await say(hector, 'call files_die'), /^Error: The MCP server "files" was lost during the call/);
  assert.equal(await say(hector, 'call old_echo {"text": "I go on"}'), 'I go on');
  await until(async () => (await say(hector, 'call files_echo {"text": "back"}')) === 'back', 20_000);
  assert.notEqual((await identity(hector, 'files')).pid, pid);
});

test('--mcp-url gives the agent without a file the tools of a server, also one that is not up yet', async () => {
  const { port } = await (async () => {
    await using server = await streamableServer();
    return server;
  })();
  await using hector = await startHector({ args: ['--mcp-url', `http://127.0.0.1:${port}/mcp`] });
  const ask = async () => answer(await send(await connect(hector.url, 'assistant'), 'call mcp_echo {"text": "hi"}'));
  assert.match(await ask(), /call mcp_echo/, 'the tool is not there yet');
  await told(hector, /tools\.mcp.*ECONNREFUSED/);
  await using _server = await streamableServer({ port });
  await until(async () => (await ask()) === 'hi', 30_000);
});
