import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../support/extension.ts';
import { ask, card, type Far, far, json, legacyCard, remoteAgent, type Seen, streaming } from './far-side.ts';

function says(text: string) {
  return ({ id }: Seen, response: Parameters<typeof json>[0]) => {
    const stream = streaming(response, id);
    stream.event({ message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{ text }] } });
    stream.end();
  };
}

const gets = ({ requests }: Far) => requests.filter(({ method }) => method === 'GET');

test('the card is at the well-known place below the URL, and fetched once for all who wait', async () => {
  await using side = await far((seen, response, url) =>
    seen.method === 'GET' ? json(response, card(`${url}/rpc`)) : says('hi')(seen, response),
  );
  await using near = await remoteAgent({ url: `${side.url}/agents/one/` });
  await Promise.all(Array.from({ length: 10 }, () => ask(near.agent, 'go')));
  assert.equal((await ask(near.agent, 'go')).text, 'hi');
  assert.deepEqual(
    gets(side).map(({ path }) => path),
    ['/agents/one/.well-known/agent-card.json'],
  );
});

test('where there is none, at the old one, in the old form', async () => {
  await using side = await far((seen, response, url) => {
    if (seen.path.endsWith('/agent.json'))
      return json(response, legacyCard(`${url}/rpc`, { protocolVersion: '0.2.6' }));
    if (seen.method === 'GET') return json(response, {}, 404);
    assert.equal(seen.rpc, 'message/stream');
    const stream = streaming(response, seen.id);
    stream.event({ kind: 'message', messageId: 'm', role: 'agent', parts: [{ kind: 'text', text: 'old' }] });
    stream.end();
  });
  await using near = await remoteAgent({ url: side.url });
  assert.equal((await ask(near.agent, 'go')).text, 'old');
});

test('a card that may be old is asked for with its tag, and again after a failure', async () => {
  let works = true;
  await using side = await far((seen, response, url) => {
    if (seen.method !== 'GET') return works ? says('hi')(seen, response) : json(response, 'no', 503);
    if (seen.headers['if-none-match'] === '"v1"') return response.writeHead(304).end();
    json(response, card(`${url}/rpc`), 200, { etag: '"v1"', 'cache-control': 'max-age=3600' });
  });
  await using near = await remoteAgent({ url: side.url });
  await ask(near.agent, 'go');
  await ask(near.agent, 'go');
  assert.equal(gets(side).length, 1);
  works = false;
  assert.match(String((await ask(near.agent, 'go')).error), /answered 503/);
  works = true;
  assert.equal((await ask(near.agent, 'go')).text, 'hi');
  assert.deepEqual(
    gets(side).map(({ headers }) => headers['if-none-match']),
    [undefined, '"v1"'],
  );
});

test('while the card cannot be fetched the one from before is used', async () => {
  let there = true;
  await using side = await far((seen, response, url) => {
    if (seen.method !== 'GET') return there ? json(response, 'no', 503) : says('still')(seen, response);
    if (there) return json(response, card(`${url}/rpc`));
    json(response, 'no', 500);
  });
  await using near = await remoteAgent({ url: side.url });
  await ask(near.agent, 'go');
  there = false;
  assert.equal((await ask(near.agent, 'go')).text, 'still');
  assert.ok(near.logged.some((line) => line.includes('the one from before is used')));
});

test('url beside a card is where messages go, whatever the card says', async (t) => {
  await using side = await far((seen, response) =>
    seen.method === 'GET' ? json(response, card('http://internal.invalid/rpc')) : says('hi')(seen, response),
  );
  const headers = { 'X-Key': 'k' };
  await using near = await remoteAgent({ agent_card_url: `${side.url}/my-card`, url: `${side.url}/outside`, headers });
  assert.equal((await ask(near.agent, 'go')).text, 'hi');
  assert.deepEqual(
    side.requests.map(({ path }) => path),
    ['/my-card', '/outside'],
  );

  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'far.json'), JSON.stringify(card('http://internal.invalid/rpc')));
  await using filed = await remoteAgent({ agent_card_file: './far.json', url: `${side.url}/filed`, headers }, folder);
  assert.equal((await ask(filed.agent, 'go')).text, 'hi');
  assert.equal(side.requests.at(-1)?.path, '/filed');
});

test('of several interfaces it is the first that is known here, in its newest version', async () => {
  const offer = (url: string, ...offered: string[]) => ({
    supportedInterfaces: offered.map((each) => {
      const [protocolBinding = '', protocolVersion = ''] = each.split(' ');
      return { url: `${url}/${each.replace(' ', '-')}`, protocolBinding, protocolVersion };
    }),
  });
  const cases: readonly [string[], object, string][] = [
    [['GRPC 1.0', 'JSONRPC 0.3', 'JSONRPC 1.0', 'HTTP+JSON 1.0'], {}, '/JSONRPC-1.0'],
    [['HTTP+JSON 1.0', 'JSONRPC 1.0'], {}, '/HTTP+JSON-1.0/message:stream'],
    [['JSONRPC 1.0', 'HTTP+JSON 1.0'], { transport: 'rest' }, '/HTTP+JSON-1.0/message:stream'],
  ];
  for (const [offered, options, path] of cases) {
    await using side = await far((seen, response, url) =>
      seen.method === 'GET' ? json(response, card(url, offer(url, ...offered))) : json(response, 'enough', 503),
    );
    await using near = await remoteAgent({ url: side.url, ...options });
    await ask(near.agent, 'go');
    assert.equal(side.requests[1]?.path, path);
  }
});

test('options that cannot work are refused when the agent is made', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'wrong.json'), '{}');
  const cases: readonly [object, RegExp][] = [
    [{}, /needs url, agent_card_url or agent_card_file/],
    [{ agent_card_url: 'http://a/', agent_card_file: 'a.json' }, /remove one of them/],
    [{ url: 'ftp://a/' }, /pattern/],
    [{ url: 'http://' }, /url is not a URL/],
    [{ url: 'http://me:secret@a/' }, /must not hold a name or password/],
    [{ url: 'http://a/', headers: { 'content-type': 'x' } }, /must not set content-type/],
    [{ url: 'http://a/', headers: { 'X-A': 'a\nb' } }, /headers\.X-A is not a header/],
    [{ url: 'http://a/', timeout: '0' }, /timeout must be more than 0/],
    [{ url: 'http://a/', llm: 'x' }, /additional properties/],
    [{ agent_card_file: 'none.json' }, /agent_card_file cannot be read/],
    [{ agent_card_file: 'wrong.json' }, /no agent card/],
  ];
  for (const [options, expected] of cases) {
    await assert.rejects(remoteAgent(options, folder), (error: Error) => {
      assert.match(error.message, expected);
      assert.ok(!error.message.includes('secret'));
      return true;
    });
  }
  await assert.rejects(remoteAgent({ agent_card_file: 'a.json' }), /is relative/);
});
