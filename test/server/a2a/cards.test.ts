import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentCard } from '@a2a-js/sdk';
import type { AuthScheme } from '../../../core/extension/auth-scheme.ts';
import { rpc, userMessage } from '../../support/a2a-client.ts';
import { type AgentWish, parrot, servingAgents } from '../../support/a2a-serving.ts';

const wellKnown = '/.well-known/agent-card.json';

interface Card {
  readonly name: string;
  readonly [field: string]: unknown;
}

async function cardAt(url: string, headers: Record<string, string> = {}): Promise<Card> {
  const response = await fetch(url, { headers });
  assert.equal(response.status, 200, url);
  return (await response.json()) as Card;
}

const names = ({ agents }: { agents: readonly Card[] }) => agents.map(({ name }) => name);

/** Knows one caller, by a header. */
const keyScheme: AuthScheme = {
  securityScheme: { apiKeySecurityScheme: { location: 'header', name: 'X-Key' } },
  async authenticate({ headers }) {
    return headers['x-key'] === 'secret' ? { subject: 'alice', scopes: [], claims: {} } : undefined;
  },
};

const agents: Record<'hidden' | 'staff' | 'writer' | 'editor', AgentWish> = {
  hidden: { run: parrot, config: { visibility: 'private' } },
  staff: { run: parrot, config: { visibility: 'internal' } },
  writer: {
    run: parrot,
    config: {
      name: 'Writer',
      description: 'Writes',
      skills: [{ id: 's', name: 'Skill', description: '', tags: ['t'], examples: [] }],
    },
  },
  editor: { run: parrot, config: { streaming: false, input_modes: ['text/plain', 'image/*'] } },
};

test('a card says in A2A 1.0 and in 0.3 where the agent is and what it can do', async () => {
  await using serving = await servingAgents({ agents, name: 'Acme' });
  const card = await cardAt(`${serving.url}/agents/writer`);

  const url = `${serving.url}/agents/writer`;
  assert.match(String(card['version']), /^\d+\.\d+\.\d+.*\+01234567$/);
  const { version: _, ...rest } = card;
  assert.deepEqual(rest, {
    name: 'Writer',
    description: 'Writes',
    supportedInterfaces: [
      { url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
      { url, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
    ],
    provider: { organization: 'Acme', url: serving.url },
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{ id: 's', name: 'Skill', description: 'Skill', tags: ['t'] }],
    url,
    preferredTransport: 'JSONRPC',
    protocolVersion: '0.3',
    supportsAuthenticatedExtendedCard: false,
  });
  const parsed = AgentCard.fromJSON(card);
  assert.equal(parsed.supportedInterfaces[0]?.protocolVersion, '1.0');
});

test('an agent that says nothing of its skills has one made of its name', async () => {
  await using serving = await servingAgents({ agents });
  const card = await cardAt(`${serving.url}/agents/editor${wellKnown}`);
  assert.deepEqual(card['skills'], [{ id: 'default', name: 'editor', description: 'editor', tags: ['editor'] }]);
  assert.equal((card['capabilities'] as { streaming: boolean }).streaming, false);
  assert.equal(card['provider'], undefined);
  assert.equal(card['securitySchemes'], undefined);
});

test('the default agent is the configured one, or else the first public one of the configuration', async () => {
  await using first = await servingAgents({ agents });
  await using named = await servingAgents({ agents, server: { default_agent: 'editor' } });
  await using secret = await servingAgents({ agents, server: { default_agent: 'hidden' } });
  await using none = await servingAgents({ agents: { hidden: agents.hidden } });

  assert.equal((await cardAt(first.url + wellKnown)).name, 'Writer');
  assert.equal((await cardAt(named.url + wellKnown)).name, 'editor');
  for (const { url } of [secret, none]) {
    const response = await fetch(url + wellKnown);
    assert.equal(response.status, 404);
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'not_found');
  }
});

test('the list has the public agents in the order of the configuration', async () => {
  await using serving = await servingAgents({ agents });
  const list = (await (await fetch(`${serving.url}/agents`)).json()) as { agents: Card[]; total: number };
  assert.deepEqual(names(list), ['Writer', 'editor']);
  assert.equal(list.total, 2);
});

test('private and unknown agents are not there, and neither are internal ones without authentication', async () => {
  await using serving = await servingAgents({ agents });
  for (const name of ['hidden', 'staff', 'nobody', '__proto__', 'a%2Fb']) {
    for (const path of [`/agents/${name}`, `/agents/${name}${wellKnown}`]) {
      const response = await fetch(serving.url + path);
      assert.equal(response.status, 404, path);
      assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'not_found');
    }
    const { status } = await rpc(`${serving.url}/agents/${name}`, 'SendMessage', { message: userMessage('hi') });
    assert.equal(status, 404);
  }
});

test('internal agents are there for callers who say who they are', async () => {
  const auth = { enabled: true, require_auth: false, excluded_paths: [] };
  await using serving = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
  const alice = { 'X-Key': 'secret' };
  const list = async (headers = {}) =>
    (await (await fetch(`${serving.url}/agents`, { headers })).json()) as { agents: Card[] };

  assert.deepEqual(names(await list()), ['Writer', 'editor']);
  assert.deepEqual(names(await list(alice)), ['staff', 'Writer', 'editor']);
  assert.equal((await fetch(`${serving.url}/agents/staff`)).status, 404);
  assert.equal((await cardAt(`${serving.url}/agents/staff`, alice)).name, 'staff');
  const response = await fetch(`${serving.url}/agents/staff`, { headers: alice });
  assert.equal(response.headers.get('cache-control'), 'private, no-cache');
});

test('a card tells how to authenticate, to clients of both versions', async () => {
  const auth = { enabled: true, require_auth: true, excluded_paths: [] };
  await using serving = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
  const card = await cardAt(serving.url + wellKnown);

  assert.deepEqual(card['securitySchemes'], {
    key: { apiKeySecurityScheme: { location: 'header', name: 'X-Key' }, type: 'apiKey', name: 'X-Key', in: 'header' },
  });
  assert.deepEqual(card['securityRequirements'], [{ schemes: { key: { list: [] } } }]);
  assert.deepEqual(card['security'], [{ key: [] }]);
});

test("tasks are their owner's alone", async () => {
  const auth = { enabled: true, require_auth: false, excluded_paths: [] };
  await using serving = await servingAgents({ agents, authSchemes: { key: keyScheme }, server: { auth } });
  const url = `${serving.url}/agents/writer`;
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'SendMessage',
    params: { message: userMessage('mine') },
  });
  const sent = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-key': 'secret' },
    body,
  });
  const { result } = (await sent.json()) as { result: { task: { id: string } } };

  const { body: stranger } = await rpc(url, 'GetTask', { id: result.task.id });

  assert.equal(stranger.error?.code, -32001);
});

test('the URLs of a card are what the caller typed, or the public URL', async () => {
  await using serving = await servingAgents({ agents, server: { trusted_proxies: ['127.0.0.1'] } });
  await using published = await servingAgents({ agents, server: { public_url: 'https://agents.example.com/' } });
  const forwarded = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'proxy.example.com' };

  assert.equal((await cardAt(`${serving.url}/agents/writer`))['url'], `${serving.url}/agents/writer`);
  assert.equal(
    (await cardAt(`${serving.url}/agents/writer`, forwarded))['url'],
    'https://proxy.example.com/agents/writer',
  );
  assert.equal((await cardAt(`${published.url}/agents/writer`))['url'], 'https://agents.example.com/agents/writer');
});

test('cards are kept for some origins only, and the right one is sent for each', async () => {
  await using serving = await servingAgents({ agents, server: { trusted_proxies: ['127.0.0.1'] } });
  for (let at = 0; at < 150; at++) {
    const host = `h${at % 100}.example.com`;
    const card = await cardAt(`${serving.url}/agents/writer`, { 'X-Forwarded-Host': host });
    assert.equal(card['url'], `http://${host}/agents/writer`);
  }
});

test('a card can be cached and read by any web page', async () => {
  await using serving = await servingAgents({ agents });
  const url = `${serving.url}/agents/writer`;
  const response = await fetch(url);
  const body = await response.text();
  const etag = response.headers.get('etag') ?? '';

  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(response.headers.get('cache-control'), 'public, max-age=60');
  assert.equal(response.headers.get('access-control-allow-origin'), '*');
  const modified = response.headers.get('last-modified') ?? '';
  assert.ok(Math.abs(Date.parse(modified) - Date.now()) < 60_000, modified);
  const later = new Date(Date.parse(modified) + 3_600_000).toUTCString();
  const earlier = new Date(Date.parse(modified) - 1_000).toUTCString();
  const conditions: readonly [Record<string, string>, number][] = [
    [{ 'If-None-Match': etag }, 304],
    [{ 'If-None-Match': `"x", W/${etag}` }, 304],
    [{ 'If-None-Match': '*' }, 304],
    [{ 'If-None-Match': '"other"' }, 200],
    [{ 'If-Modified-Since': modified }, 304],
    [{ 'If-Modified-Since': later }, 304],
    [{ 'If-Modified-Since': earlier }, 200],
    [{ 'If-Modified-Since': 'yesterday' }, 200],
    [{ 'If-None-Match': '"other"', 'If-Modified-Since': modified }, 200],
  ];
  for (const path of [url, `${serving.url}/agents`]) {
    const known = path === url ? etag : ((await fetch(path)).headers.get('etag') ?? '');
    for (const [headers, status] of conditions) {
      const sent = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace(etag, known)]),
      );
      const answered = await fetch(path, { headers: sent });
      assert.equal(answered.status, status, JSON.stringify(sent));
      assert.equal(answered.headers.get('etag'), known);
      assert.equal(answered.headers.get('last-modified'), modified);
      assert.equal((await answered.text()) === '', status === 304);
    }
  }
  for (const path of [wellKnown, '/agents', '/agents/writer', `/agents/writer${wellKnown}`]) {
    const head = await fetch(serving.url + path, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, ''], path);
    assert.ok(Number(head.headers.get('content-length')) > 100);
  }
  assert.equal(Number(response.headers.get('content-length')), Buffer.byteLength(body));
});

test('other methods on the same paths are refused with those that are not', async () => {
  await using serving = await servingAgents({ agents });
  const allow = async (method: string, path: string) => {
    const response = await fetch(serving.url + path, { method });
    return [response.status, ...(response.headers.get('allow') ?? '').split(', ').toSorted()];
  };
  assert.deepEqual(await allow('DELETE', '/agents/writer'), [405, 'GET', 'HEAD', 'POST']);
  assert.deepEqual(await allow('POST', '/agents'), [405, 'GET', 'HEAD']);
  assert.deepEqual(await allow('PUT', wellKnown), [405, 'GET', 'HEAD']);
  assert.deepEqual(await allow('POST', `/agents/writer${wellKnown}`), [405, 'GET', 'HEAD']);
});
