import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificates } from '../services/certificates.ts';
import { health, knock, sendAs, streamAs, swap, taskRefused, withBearer, withKey } from '../support/authed.ts';
import { rewrite } from '../support/config-status.ts';
import { temporaryFolder } from '../support/extension.ts';
import { startHector } from '../support/hector.ts';
import { heldConfig, openGate, startHeld } from '../support/held-work.ts';
import { provider } from '../support/jwt.ts';
import { told } from '../support/told.ts';

const guide = (name: string) => readFile(join(import.meta.dirname, '../fixtures/guide', name), 'utf8');

const keysOf = (...keys: readonly string[]) =>
  heldConfig('one', { server: `auth: { enabled: true, api_keys: [${keys.join(', ')}] }` });

test("the guide's api_keys: both keys open, in either header, and nothing else does", async () => {
  const env = { OPENAI_API_KEY: 'sk-0', API_KEY_1: 'first-key-0123', API_KEY_2: 'second-key-0123' };
  await using hector = await startHector({ config: await guide('auth-api-keys.yaml'), env });
  for (const key of [env.API_KEY_1, env.API_KEY_2]) {
    assert.equal(await knock(hector, withKey(key)), 200);
    assert.equal(await knock(hector, withBearer(key)), 200);
  }
  for (const key of ['', 'first-key', 'first-key-01234', 'FIRST-KEY-0123', env.OPENAI_API_KEY])
    assert.equal(await knock(hector, withKey(key)), 401, key);
  const refused = await fetch(`${hector.url}/agents`);
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer realm="hector"']);
  assert.deepEqual((await health(hector)).auth, { enabled: true, type: 'api-key' });
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stdout() + hector.stderr(), /first-key|second-key/);
});

/** The environment of a process for which `https://HOST` is a server of the test. */
async function hostOf(t: TestContext, host: string, answer: () => Promise<object>): Promise<Record<string, string>> {
  const folder = await temporaryFolder(t);
  const { ca } = await makeCertificates(folder, host);
  const [cert, key] = await Promise.all(['server.crt', 'server.key'].map((name) => readFile(join(folder, name))));
  const server = createServer({ cert, key }, async ({ headers, url }, response) => {
    const text = JSON.stringify(await answer());
    if (headers.host === host && url === '/.well-known/jwks.json') response.end(text);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const script = `import tls from 'node:tls';
const { connect } = tls;
tls.connect = (options, ...more) =>
  connect(options.host === '${host}' && options.port == 443 ? { ...options, host: '127.0.0.1', port: ${port} } : options, ...more);`;
  const preload = `data:text/javascript;base64,${Buffer.from(script).toString('base64')}`;
  return { NODE_EXTRA_CA_CERTS: ca, NODE_OPTIONS: `--import ${preload}` };
}

test("the guide's jwks_url: who has a token of that provider comes in, over TLS that is checked", async (t) => {
  const idp = await provider(t);
  const env = await hostOf(t, 'auth.yourdomain.com', () => idp.keySet());
  const config = await guide('auth-jwks.yaml');
  await using hector = await startHector({ config, env: { ...env, OPENAI_API_KEY: 'sk-0' } });
  assert.equal(await knock(hector, withBearer(await idp.token())), 200);
  assert.equal(await knock(hector, withBearer(await idp.token({ exp: 1 }))), 401);
  assert.equal(await knock(hector), 401);
  assert.deepEqual((await health(hector)).auth, { enabled: true, type: 'jwt' });
  for (const missing of ['No issuer is set', 'No audience is set'])
    await told(hector, new RegExp(`WARN .*config\\.yaml:4:5 .*${missing}`));

  const { NODE_EXTRA_CA_CERTS: _, ...untrusting } = env;
  await using other = await startHector({ config, env: { ...untrusting, OPENAI_API_KEY: 'sk-0' } });
  assert.equal(await knock(other, withBearer(await idp.token())), 503);
  await told(other, /auth\.yourdomain\.com\/\.well-known\/jwks\.json cannot be fetched: .*certificate/);
});

test('both together, and what cards and /health say of them', async (t) => {
  const idp = await provider(t);
  const config = `llms: { default: { provider: echo } }
server:
  auth:
    enabled: true
    api_keys: [{ key: key-of-ada-0123, subject: ada }]
    jwks_url: ${idp.url}
    issuer: ${idp.issuer}
    audience: [hector, other]
    client_id: console
    excluded_paths: [/agents]
`;
  await using hector = await startHector({ config });
  assert.equal(await knock(hector), 200);
  const json = async (path: string) => (await (await fetch(`${hector.url}${path}`)).json()) as Record<string, unknown>;
  assert.deepEqual((await health(hector)).auth, {
    enabled: true,
    type: 'api-key, jwt',
    issuer: idp.issuer,
    audience: ['hector', 'other'],
    client_id: 'console',
  });
  const card = await json('/.well-known/agent-card.json');
  assert.deepEqual(card['securitySchemes'], {
    'api-key': {
      apiKeySecurityScheme: { location: 'header', name: 'X-API-Key' },
      type: 'apiKey',
      in: 'header',
      name: 'X-API-Key',
    },
    jwt: {
      httpAuthSecurityScheme: { scheme: 'Bearer', bearerFormat: 'JWT' },
      type: 'http',
      scheme: 'Bearer',
      bearerFormat: 'JWT',
    },
  });
  assert.deepEqual(card['securityRequirements'], [
    { schemes: { 'api-key': { list: [] } } },
    { schemes: { jwt: { list: [] } } },
  ]);
  assert.deepEqual(card['security'], [{ 'api-key': [] }, { jwt: [] }]);
  const ask = async (credentials: object) =>
    (await fetch(`${hector.url}/agents/assistant`, { headers: { ...credentials } })).status;
  assert.equal(await ask({}), 401);
  assert.equal(await ask(withKey('key-of-ada-0123')), 200);
  assert.equal(await ask(withBearer('key-of-ada-0123')), 200);
  assert.equal(await ask(withBearer(await idp.token({ aud: 'other' }))), 200);
  assert.equal(await ask(withBearer(await idp.token({ aud: 'third' }))), 401);
});

test('there is no way in without credentials, on whatever surface, and no word about what is behind it', async () => {
  const config = `llms: { default: { provider: echo } }
agents: { hush: { description: Secret } }
server: { openai: { enabled: true }, mcp: { enabled: true }, auth: { enabled: true, api_keys: [key-of-ada-0123] } }
`;
  await using hector = await startHector({ config, args: ['--studio'] });
  const paths = [
    ...['/agents', '/agents/hush', '/agents/nobody', '/agents/hush/message:send', '/agents/hush/message:stream'],
    ...['/agents/hush/tasks', '/agents/hush/tasks/x', '/agents/hush/tasks/x:cancel', '/agents/hush/extendedAgentCard'],
    ...['/v1/models', '/v1/models/hush', '/v1/chat/completions', '/mcp', '/metrics', '/nothing', '/'],
    ...['/api/config', '/api/config/status', '/api/config/reload', '/api/schema', '/api/nothing'],
    // Nothing that begins or ends like what is open is open for that.
    ...['/health/../agents', '//agents', '/AGENTS', '/agents/', '/healthy', '/health/', '/health%2f..%2fagents'],
    ...['/api/config/.well-known/agent-card.json', '/agents/hush/tasks/.well-known/agent-card.json'],
  ];
  const bodies = new Set<string>();
  for (const path of paths) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      for (const headers of [{}, withKey('key-of-eve-0123'), withBearer('key-of-eve-0123')]) {
        const { status, challenge, body } = await plainly(hector.url, method, path, headers);
        assert.deepEqual([status, challenge?.startsWith('Bearer realm="hector"')], [401, true], `${method} ${path}`);
        assert.doesNotMatch(body, /hush|Secret/);
        if (!path.startsWith('/v1/')) bodies.add(body);
      }
      const { status } = await plainly(hector.url, method, path, withKey('key-of-ada-0123'));
      assert.notEqual(status, 401, `${method} ${path} with a key`);
    }
  }
  assert.deepEqual(
    [...bodies].map((body) => JSON.parse(body).error.message),
    ['This needs credentials.', 'The credentials are not valid.'],
  );
});

/** With the path as it is, which `fetch` would tidy. */
function plainly(url: string, method: string, path: string, headers: object) {
  return new Promise<{ status: number | undefined; challenge: string | undefined; body: string }>((resolve, reject) => {
    request(url, { path, method, headers: { ...headers } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (more: string) => (body += more));
      const challenge = response.headers['www-authenticate'];
      response.on('end', () => resolve({ status: response.statusCode, challenge, body }));
    })
      .on('error', reject)
      .end();
  });
}

test('a key that is taken away is refused at the next request, and the stream that it opened runs to its end', async () => {
  await using hector = await startHeld(keysOf('old-key-0123', 'kept-key-0123'));
  const streams = await Promise.all(
    ['old-key-0123', 'kept-key-0123'].map((key) => streamAs(hector, withKey(key), 'hold gate')),
  );
  await swap(hector, keysOf('kept-key-0123', 'new-key-0123'));
  assert.equal(await knock(hector, withKey('old-key-0123')), 401);
  assert.equal(await knock(hector, withBearer('old-key-0123')), 401);
  assert.equal(await knock(hector, withKey('kept-key-0123')), 200);
  assert.equal(await knock(hector, withKey('new-key-0123')), 200);
  await openGate(hector, 'gate');
  for (const ended of streams) assert.match(await ended(), /finished by one[\s\S]*TASK_STATE_COMPLETED/);
  assert.equal(await hector.stop(), 0);
  assert.doesNotMatch(hector.stdout() + hector.stderr(), /old-key|kept-key|new-key/);
});

test('while keys change, a key that stays is never refused', async () => {
  await using hector = await startHeld(keysOf('kept-key-0123', 'key-0-0123'));
  const seen = new Set<number>();
  let going = true;
  const asking = (async () => {
    while (going) seen.add(await knock(hector, withKey('kept-key-0123')));
  })();
  for (let round = 1; round < 5; round++) {
    await swap(hector, keysOf('kept-key-0123', `key-${round}-0123`));
    assert.equal(await knock(hector, withKey(`key-${round}-0123`)), 200);
    assert.equal(await knock(hector, withKey(`key-${round - 1}-0123`)), 401);
  }
  going = false;
  await asking;
  assert.deepEqual([...seen], [200]);
});

test('two live keys of one subject are one caller: what the old one began, the new one has', async () => {
  const ada = (...keys: readonly string[]) => [
    ...keys.map((key) => `{ key: ${key}, subject: ada }`),
    '{ key: key-of-bob-0123, subject: bob }',
  ];
  await using hector = await startHeld(keysOf(...ada('old-key-0123')));
  const task = await sendAs(hector, withKey('old-key-0123'), 'hello');
  await swap(hector, keysOf(...ada('old-key-0123', 'new-key-0123')));
  for (const key of ['old-key-0123', 'new-key-0123'])
    assert.equal(await taskRefused(hector, withKey(key), task), undefined);
  assert.equal(await taskRefused(hector, withKey('key-of-bob-0123'), task), -32001);
  await swap(hector, keysOf(...ada('new-key-0123')));
  assert.equal(await knock(hector, withKey('old-key-0123')), 401);
  assert.equal(await taskRefused(hector, withKey('new-key-0123'), task), undefined);
});

test('from api_keys to jwks_url while streams run: none is cut, and a subject keeps its tasks', async (t) => {
  const idp = await provider(t);
  const byToken = `auth: { enabled: true, jwks_url: "${idp.url}", issuer: "${idp.issuer}", audience: hector }`;
  await using hector = await startHeld(keysOf('{ key: key-of-ada-0123, subject: ada }'));
  const key = withKey('key-of-ada-0123');
  const token = withBearer(await idp.token({ sub: 'ada' }));
  const task = await sendAs(hector, key, 'hello');
  const ended = await streamAs(hector, key, 'hold gate');
  assert.equal(await knock(hector, token), 401);
  await swap(hector, heldConfig('one', { server: byToken }));
  assert.equal(await knock(hector, key), 401);
  assert.equal(await knock(hector, token), 200);
  assert.equal(await taskRefused(hector, token, task), undefined);
  const second = await streamAs(hector, token, 'hold gate');
  await swap(hector, heldConfig('one', { server: 'auth: { enabled: true, api_keys: [other-key-0123] }' }));
  assert.equal(await knock(hector, token), 401);
  await openGate(hector, 'gate');
  for (const end of [ended, second]) assert.match(await end(), /finished by one[\s\S]*TASK_STATE_COMPLETED/);
});

test('authentication that is on with nothing to check: it does not start, and a running one stays as it is', async () => {
  const nothing = 'auth: { enabled: true }';
  const message = /authentication is enabled with nothing to check\. Give api_keys, jwks_url or schemes/;
  await assert.rejects(
    startHector({ config: `server: { ${nothing} }\nllms: { default: { provider: echo } }\n` }),
    (e) => {
      assert.match(String(e), /hector serve ended with 1/);
      assert.match(String(e), message);
      return true;
    },
  );
  await using hector = await startHeld(keysOf('kept-key-0123'));

  await rewrite(hector, heldConfig('one', { server: nothing }));
  await told(hector, message);
  assert.equal(await knock(hector), 401);
  assert.equal(await knock(hector, withKey('kept-key-0123')), 200);
});
