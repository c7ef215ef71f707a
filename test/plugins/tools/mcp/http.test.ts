import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolProgress } from '../../../../core/index.ts';
import { testToolset } from '../../../conformance/toolset.ts';
import { until } from '../../../support/until.ts';
import { redirect, webServer } from '../../../support/web-server.ts';
import { legacyServer, silentServer, streamableServer } from './http-servers.ts';
import { mcpToolset } from './mcp-toolset.ts';

const sessionOf = async (mcp: Awaited<ReturnType<typeof mcpToolset>>): Promise<string> =>
  (JSON.parse(String(await mcp.call('s_identity'))) as { session: string }).session;

for (const [kind, serve] of [
  ['streamable HTTP', streamableServer],
  ['HTTP with server-sent events', legacyServer],
] as const) {
  testToolset({
    test: (name, body) => test(`${kind}: ${name}`, body),
    create: async () => {
      const server = await serve();
      const { toolset } = await mcpToolset({ url: server.url });
      return {
        tools: (signal) => toolset.tools(signal),
        async [Symbol.asyncDispose]() {
          await toolset[Symbol.asyncDispose]?.();
          await server[Symbol.asyncDispose]();
        },
      };
    },
    calls: [{ tool: 's_echo', arguments: { text: 'hi' }, check: (result) => assert.equal(result, 'hi') }],
    failures: [{ tool: 's_fail', arguments: { text: 'x' } }],
    endless: { tool: 's_endless', arguments: {} },
  });

  test(`${kind}: one session for all calls, and nothing left after dispose`, async () => {
    await using server = await serve();
    {
      await using mcp = await mcpToolset({ url: server.url });
      const session = await sessionOf(mcp);
      assert.equal(await sessionOf(mcp), session);
      assert.equal(server.sessions, 1);
    }
    await until(() => server.sessions === 0 && server.open === 0);
  });

  test(`${kind}: a call that is given up is cancelled at the server`, async () => {
    await using server = await serve();
    await using mcp = await mcpToolset({ url: server.url });
    const controller = new AbortController();
    const running = mcp.call('s_endless', { text: 'that one' }, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await assert.rejects(running, /enough/);
    await until(() => server.seen.cancelled.includes('that one'));
    assert.equal(await mcp.call('s_echo', { text: 'on' }), 'on');
  });

  test(`${kind}: progress, and a changed list`, async () => {
    await using server = await serve();
    await using mcp = await mcpToolset({ url: server.url });
    await mcp.call('s_change', { text: 'new' });
    await until(async () => (await mcp.names()).includes('s_new'));
    if (kind !== 'streamable HTTP') return;
    const updates: ToolProgress[] = [];
    assert.equal(await mcp.call('s_slow', { steps: 3 }, { progress: (update) => updates.push(update) }), 'done');
    assert.deepEqual(
      updates.map(({ progress }) => progress),
      [1, 2, 3],
    );
  });
}

test('the headers are sent with every request; without them, that the server refuses is told', async () => {
  await using server = await streamableServer({ token: 'open sesame' });
  await using refused = await mcpToolset({ url: server.url });
  assert.equal(refused.warnings.length, 1);
  assert.match(String(refused.warnings[0]), /401 Unauthorized: check the credentials in its headers/);
  server.seen.requests.length = 0;
  await using mcp = await mcpToolset({ url: server.url, headers: { Authorization: 'Bearer open sesame' } });
  assert.deepEqual(mcp.warnings.length, 1, 'only the odd name');
  assert.equal(await mcp.call('s_echo', { text: 'in' }), 'in');
  const admitted = server.seen.requests.filter(({ authorization }) => authorization === 'Bearer open sesame');
  assert.ok(admitted.length >= 4, 'initialize, initialized, list, call');
});

test('a session that the server has forgotten is begun anew, and the call is made in it, once', async () => {
  await using server = await streamableServer();
  await using mcp = await mcpToolset({ url: server.url });
  const before = await sessionOf(mcp);
  server.forget();
  assert.equal(await mcp.call('s_echo', { text: 'again' }), 'again');
  assert.notEqual(await sessionOf(mcp), before);
});

test('a server that is down does not fail the build: its tools are there once it is', async () => {
  const port = await (async () => {
    await using server = await streamableServer();
    return server.port;
  })();
  await using mcp = await mcpToolset({ url: `http://127.0.0.1:${port}/mcp` });
  assert.equal(mcp.toolset.incomplete, true);
  assert.deepEqual(await mcp.names(), []);
  assert.equal(mcp.warnings.length, 1);
  assert.match(String(mcp.warnings[0]), /ECONNREFUSED/);
  await using _server = await streamableServer({ port });
  await until(async () => (await mcp.names()).includes('s_echo'), 20_000);
  assert.equal(mcp.toolset.incomplete, false);
  assert.equal(await mcp.call('s_echo', { text: 'up' }), 'up');
});

test('a server does not get to redirect to this machine or its networks', async () => {
  await using inside = await webServer();
  for (const to of [inside.url, 'http://169.254.169.254/', `http://[::ffff:127.0.0.1]:${inside.port}/`]) {
    await using moved = await webServer(redirect(to, 307));
    await using mcp = await mcpToolset({ url: moved.url, connect_timeout: '5s' });
    assert.match(mcp.warnings.join(), /cannot be used now: .*address.*server\.outbound\.allow/, to);
    assert.deepEqual(await mcp.names(), []);
  }
  assert.equal(inside.connections, 0);
});

test('a redirect to another origin that is allowed does not take the headers along, nor the session', async () => {
  await using server = await streamableServer();
  await using moved = await webServer(redirect(server.url, 307));
  const options = { url: moved.url, headers: { Authorization: 'Bearer secret' } };
  await using _mcp = await mcpToolset(options, ['127.0.0.1']);
  assert.equal(moved.requests[0]?.headers.authorization, 'Bearer secret');
  assert.ok(
    server.seen.requests.length > 0 &&
      server.seen.requests.every(({ authorization, session }) => authorization === undefined && session === undefined),
  );
});

test('a server that goes away: calls fail with the reason, the list stays, and it is used again when it is back', async () => {
  const server = await streamableServer();
  await using mcp = await mcpToolset({ url: server.url });
  const running = mcp.call('s_endless').catch((error: Error) => error.message);
  await until(() => server.open >= 2);
  await server[Symbol.asyncDispose]();
  assert.match(String(await running), /The MCP server "s" was lost during the call/);
  assert.ok((await mcp.names()).includes('s_echo'));
  await until(async () => {
    const reason = await mcp.call('s_echo', { text: 'x' }).catch((error: Error) => error.message);
    return /^The MCP server "s" is not connected: .*ECONNREFUSED/.test(String(reason));
  });
  await using _again = await streamableServer({ port: server.port });
  await until(async () => (await mcp.call('s_echo', { text: 'back' }).catch(() => '')) === 'back', 20_000);
});

test('a call whose stream breaks off ends, and the session that the server still knows goes on', async () => {
  await using server = await streamableServer();
  await using mcp = await mcpToolset({ url: server.url, call_timeout: '30s' });
  const session = await sessionOf(mcp);
  let begun = false;
  const progress = () => {
    begun = true;
  };
  const running = mcp.call('s_slow', { steps: 1_000, ms: 50 }, { progress }).catch((error: Error) => error.message);
  await until(() => begun);
  server.cut();
  assert.match(String(await running), /was lost during the call: .*Whether it has done/);
  assert.equal(await sessionOf(mcp), session);
});

test('a server that takes connections and never answers does not hold the build up, nor dispose', async () => {
  await using server = await silentServer();
  const begun = performance.now();
  {
    await using mcp = await mcpToolset({ url: server.url, connect_timeout: '500ms' });
    assert.equal(mcp.toolset.incomplete, true);
    assert.equal(mcp.warnings.length, 1);
  }
  assert.ok(performance.now() - begun < 8_000);
  await until(() => server.open === 0);
});

test('transport: sse is taken for either kind of HTTP; streamable-http for that alone', async () => {
  await using modern = await streamableServer();
  await using legacy = await legacyServer();
  await using either = await mcpToolset({ url: modern.url, transport: 'sse' });
  assert.equal(await either.call('s_echo', { text: 'a' }), 'a');
  await using old = await mcpToolset({ url: legacy.url, transport: 'sse' });
  assert.equal(await old.call('s_echo', { text: 'b' }), 'b');
  await using only = await mcpToolset({ url: legacy.url, transport: 'streamable-http' });
  assert.match(String(only.warnings[0]), /it answered 404/);
});
