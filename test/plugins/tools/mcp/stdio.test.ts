import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FilePart, ToolProgress } from '../../../../core/index.ts';
import { testToolset } from '../../../conformance/toolset.ts';
import { until } from '../../../support/until.ts';
import { isAlive, mcpToolset, stdio } from './mcp-toolset.ts';

testToolset({
  test,
  create: async () => {
    const { toolset } = await mcpToolset(stdio());
    return toolset;
  },
  calls: [
    {
      tool: 's_echo',
      arguments: { text: 'hi' },
      check: (result) => assert.equal(result, 'hi'),
    },
  ],
  failures: [{ tool: 's_fail', arguments: { text: 'x' } }],
  endless: { tool: 's_endless', arguments: {} },
});

const pidOf = async (mcp: Awaited<ReturnType<typeof mcpToolset>>): Promise<number> =>
  (JSON.parse(String(await mcp.call('s_identity'))) as { pid: number }).pid;

test('the tools of a process: their names are valid, and what they return is what a model can read', async () => {
  await using mcp = await mcpToolset(stdio());
  assert.deepEqual(mcp.warnings.length, 1, 'the name that models do not accept');
  assert.match(String(mcp.warnings[0]), /odd\.näme as s_odd_n_me/);
  assert.ok((await mcp.names()).includes('s_odd_n_me'));
  assert.equal(await mcp.call('s_echo', { text: 'hello' }), 'hello');
  assert.deepEqual(await mcp.call('s_structured'), { answer: 42 });
  await assert.rejects(mcp.call('s_fail', { text: 'x' }), /^HectorError: no such thing: x$/);

  const parts = (await mcp.call('s_media')) as { type: string; text?: string }[];
  const files = parts.filter((part) => part.type === 'file') as unknown as FilePart[];
  assert.deepEqual(
    files.map((file) => [file.mediaType, Buffer.from(file.data as Uint8Array).toString(), file.filename]),
    [
      ['image/png', 'image', undefined],
      ['audio/wav', 'audio', undefined],
      ['x/y', 'blob', 'b.bin'],
    ],
  );
  assert.deepEqual(
    parts.filter((part) => part.type === 'text').map((part) => part.text),
    ['look', 'inside', 'doc: https://example.com/doc (a document)'],
  );
});

test('a tool that the server says only reads, or can be called again, is idempotent; no other is', async () => {
  await using mcp = await mcpToolset(stdio());
  const tools = await mcp.toolset.tools(new AbortController().signal);
  assert.deepEqual(
    tools.filter(({ idempotent }) => idempotent).map(({ name }) => name),
    ['s_echo', 's_structured'],
  );
});

test('prefix: false leaves the names; filter keeps those it names, and what it names in vain is told', async () => {
  await using mcp = await mcpToolset({ ...stdio(), prefix: false, filter: ['echo', 'fly'] });
  assert.deepEqual(await mcp.names(), ['echo']);
  assert.equal(mcp.warnings.length, 1);
  assert.match(String(mcp.warnings[0]), /no tool "fly"/);
});

test('a thousand tools over ten pages', async () => {
  await using mcp = await mcpToolset(stdio('many'));
  const names = await mcp.names();
  assert.equal(names.length, 1_000);
  assert.equal(await mcp.call('s_tool-999'), 'tool-999 was called');
});

test('a list that changes is followed: the next to ask has the new one', async () => {
  await using mcp = await mcpToolset(stdio());
  const before = await mcp.toolset.tools(new AbortController().signal);
  assert.equal(
    await mcp.toolset.tools(new AbortController().signal),
    before,
    'one list for as long as nothing changes',
  );
  await mcp.call('s_change', { text: 'new' });
  await until(async () => (await mcp.names()).includes('s_new'));
  assert.equal(await mcp.call('s_new'), 'new was called');
});

test('progress reaches the caller, and keeps a call alive that takes longer than its limit', async () => {
  await using mcp = await mcpToolset({ ...stdio(), call_timeout: '3s' });
  const updates: ToolProgress[] = [];
  const result = await mcp.call('s_slow', { steps: 6, ms: 600 }, { progress: (update) => updates.push(update) });
  assert.equal(result, 'done');
  // The library drops the last one where the result comes in the same piece.
  assert.ok(updates.length >= 5, `${updates.length} updates`);
  assert.deepEqual(
    updates.map(({ progress, total, message }) => [progress, total, message]),
    updates.map((_, at) => [at + 1, 6, `step ${at + 1}`]),
  );
});

test('a call that says nothing ends with its limit, and the server goes on', async () => {
  await using mcp = await mcpToolset({ ...stdio(), call_timeout: '300ms' });
  const pid = await pidOf(mcp);
  await assert.rejects(mcp.call('s_endless'), /The MCP server "s" did not finish "endless" within 0.3 s/);
  assert.equal(await pidOf(mcp), pid);
});

test('lines that are no messages are passed over', async () => {
  await using mcp = await mcpToolset(stdio());
  const pid = await pidOf(mcp);
  assert.equal(await mcp.call('s_garbage'), 'said');
  assert.equal(await mcp.call('s_echo', { text: 'still here' }), 'still here');
  assert.equal(await pidOf(mcp), pid);
});

test('killed in the middle of calls: they fail and say so, the list stays, and it comes back', async () => {
  await using mcp = await mcpToolset(stdio());
  const pid = await pidOf(mcp);
  const names = await mcp.names();
  const running = mcp.call('s_endless').catch((error: Error) => error.message);
  const dying = mcp.call('s_die').catch((error: Error) => error.message);
  assert.match(String(await dying), /was lost during the call: its process was ended by SIGKILL\. Whether/);
  assert.match(String(await running), /was lost during the call/);
  await assert.rejects(
    mcp.call('s_echo', { text: 'x' }),
    /^HectorError: The MCP server "s" is not connected: its process was ended by SIGKILL\.$/,
  );
  assert.deepEqual(await mcp.names(), names);
  await until(() => mcp.logged.some((line) => line.includes('not connected')));
  await until(async () => (await mcp.call('s_echo', { text: 'back' }).catch(() => '')) === 'back');
  assert.notEqual(await pidOf(mcp), pid);
});

test('hung in the middle of a call: the call ends with its limit, and the process is replaced', async () => {
  await using mcp = await mcpToolset({ ...stdio(), connect_timeout: '1s', call_timeout: '500ms' });
  const pid = await pidOf(mcp);
  process.kill(pid, 'SIGSTOP');
  await assert.rejects(mcp.call('s_echo', { text: 'x' }), { code: 'mcp_timeout' });
  await until(() => !isAlive(pid), 20_000);
  await until(async () => (await mcp.call('s_echo', { text: 'back' }).catch(() => '')) === 'back', 20_000);
});

test('nothing is left after dispose: not the process, not what it has started', async () => {
  let pid = 0;
  let child = 0;
  {
    await using mcp = await mcpToolset(stdio());
    pid = await pidOf(mcp);
    child = Number(await mcp.call('s_child'));
    assert.ok(isAlive(pid) && isAlive(child));
  }
  assert.equal(isAlive(pid), false);
  await until(() => !isAlive(child));
});

test('what a killed server has started ends too', async () => {
  await using mcp = await mcpToolset(stdio());
  const child = Number(await mcp.call('s_child'));
  await mcp.call('s_die').catch(() => undefined);
  await until(() => !isAlive(child));
});

test('a server that will not end is ended', async () => {
  let pid = 0;
  {
    await using mcp = await mcpToolset(stdio('stubborn'));
    pid = await pidOf(mcp);
  }
  assert.equal(isAlive(pid), false);
});

test('a server that never answers does not fail the build; it is told, and its process ends', async () => {
  await using mcp = await mcpToolset({ ...stdio('hung'), connect_timeout: '500ms' });
  assert.equal(mcp.toolset.incomplete, true);
  assert.deepEqual(await mcp.names(), []);
  assert.equal(mcp.warnings.length, 1);
  assert.match(String(mcp.warnings[0]), /tools\.s: .*Its tools are there as soon as it/);
});

test('a line without an end is not kept: the connection is lost', async () => {
  await using mcp = await mcpToolset({ ...stdio('flood'), connect_timeout: '8s' });
  assert.match(String(mcp.warnings[0]), /a message of more than 16777216 bytes/);
});

test('what can never work fails the build, and says what', async () => {
  const wrong = async (options: object) => {
    const error = await mcpToolset(options).then(
      async (made) => made[Symbol.asyncDispose](),
      (reason: Error) => reason,
    );
    return error instanceof Error ? error.message : 'made';
  };
  assert.equal(
    await wrong({ command: 'no-such-mcp-server' }),
    'tools.s.command: "no-such-mcp-server" cannot be started: there is no such command.',
  );
  assert.match(await wrong({}), /^tools\.s: there is neither a url nor a command/);
  assert.match(await wrong({ url: 'ftp://x' }), /not an http or https URL/);
  assert.match(await wrong({ url: 'http://u:p@x' }), /holds credentials/);
  assert.match(await wrong({ url: 'http://x', command: 'y' }), /a url and a command/);
  assert.match(await wrong({ url: 'http://x', args: [] }), /"args" is for a server with a command/);
  assert.match(await wrong({ url: 'http://x', transport: 'stdio' }), /transport: stdio/);
  assert.match(await wrong({ ...stdio(), headers: {} }), /"headers" is for a server with a url/);
  assert.match(await wrong({ ...stdio(), working_directory: '/no/such' }), /\/no\/such is not a folder/);
  assert.match(await wrong({ url: 'http://x', headers: { 'a b': 'c' } }), /cannot be sent as an HTTP header/);
});

test('the process gets a small environment and what env says, and runs where it is told to', async () => {
  process.env['SECRET_OF_HECTOR'] = 'hidden';
  try {
    const script = `
      process.stderr.write('x');
      const reply = (id, result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method, params } = JSON.parse(line);
        if (method === 'initialize') reply(id, { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'e', version: '1' } });
        if (method === 'tools/list') reply(id, { tools: [{ name: 'env', inputSchema: { type: 'object' } }] });
        if (method === 'tools/call') reply(id, { content: [{ type: 'text', text: JSON.stringify([process.env.SECRET_OF_HECTOR, process.env.GIVEN, process.cwd()]) }] });
      });`;
    await using mcp = await mcpToolset({
      command: process.execPath,
      args: ['-e', script],
      env: { GIVEN: 'yes' },
      working_directory: '/',
    });
    assert.equal(await mcp.call('s_env'), '[null,"yes","/"]');
  } finally {
    delete process.env['SECRET_OF_HECTOR'];
  }
});
