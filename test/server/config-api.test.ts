import assert from 'node:assert/strict';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { describe, test } from 'node:test';
import { ConfigError } from '../../core/config/issue.ts';
import type { ReloadEvent } from '../../core/config/status.ts';
import { AuthError, HectorError } from '../../core/errors.ts';
import type { AuthScheme } from '../../core/extension/auth-scheme.ts';
import { strangerReason } from '../../server/config-api/access.ts';
import { isTagged, tagOf } from '../../server/config-api/revision-tag.ts';
import { gate } from '../support/a2a-serving.ts';
import { servingConfig } from '../support/config-serving.ts';
import { until } from '../support/until.ts';

const json = { 'Content-Type': 'application/json' };
const refusal = new ConfigError('memory:hector', [
  {
    path: ['agents', 'writer', 'llm'],
    message: 'no LLM is named "gpt"',
    rule: 'reference',
    line: 3,
    column: 10,
    suggestion: 'gpt4',
  },
]);

/** Takes the bearers `good`, of an operator, and `plain`, of somebody without a role. */
const bearer: AuthScheme = {
  securityScheme: { httpAuthSecurityScheme: { scheme: 'Bearer' } },
  async authenticate({ headers }) {
    if (headers['authorization'] === undefined) return undefined;
    if (headers['authorization'] === 'Bearer plain') return { subject: 'bob', scopes: ['operator'], claims: {} };
    if (headers['authorization'] !== 'Bearer good') throw new AuthError('it is another one');
    return { subject: 'ann', scopes: [], claims: { role: 'operator' } };
  },
};

/** With a host of the test's own, which fetch would not send. */
function askAs(
  port: number,
  headers: Record<string, string>,
  address = '127.0.0.1',
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port, path: '/api/config/status', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end();
  });
}

describe('status and reload', () => {
  test('the status is that of the source, with the file of each issue', async () => {
    await using h = await servingConfig({ studio: false });
    const { issues } = refusal;
    h.control.state = {
      state: 'rejected',
      error: {
        revision: 'r2',
        content_hash: 'c',
        code: 'config',
        message: 'm',
        issues,
        at: '2026-01-01T00:00:00.000Z',
      },
    };
    const { status, body, headers } = await h.ask('/api/config/status');
    assert.equal(status, 200);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(body, {
      ...h.control.status(),
      error: { ...h.control.state.error, issues: [{ ...issues[0], file: 'memory:hector' }] },
    });
  });

  test('both are there before the first configuration, and studio too', async () => {
    await using h = await servingConfig({ generation: null });
    assert.equal((await h.ask('/api/config/status')).status, 200);
    assert.equal((await h.ask('/api/config/reload', { method: 'POST' })).status, 200);
    assert.equal((await h.put('name: second\n')).status, 200);
    assert.equal((await h.ask('/api/schema')).status, 503);
    assert.equal((await h.ask('/agents')).status, 503);
  });

  test('a reload tells what became of it', async () => {
    await using h = await servingConfig({ studio: false });
    const { status, body } = await h.ask('/api/config/reload', { method: 'POST' });
    assert.equal(status, 200);
    assert.deepEqual(body, { result: 'success', duration_seconds: 0.25, status: h.control.status() });
  });

  test('a refused reload has the issues and the status', async () => {
    await using h = await servingConfig();
    h.control.reloading = async () => {
      throw refusal;
    };
    const { status, body } = await h.ask('/api/config/reload', { method: 'POST' });
    assert.equal(status, 422);
    assert.equal(body.error.code, 'config');
    assert.deepEqual(body.error.issues, [{ ...refusal.issues[0], file: 'memory:hector' }]);
    assert.equal(body.status.state, 'current');
    for (const code of ['config_missing', 'config_empty']) {
      h.control.reloading = async () => {
        throw new HectorError(code, 'There is nothing.');
      };
      const empty = await h.ask('/api/config/reload', { method: 'POST' });
      assert.deepEqual([empty.status, empty.body.error], [422, { code, message: 'There is nothing.', issues: [] }]);
    }
  });

  test('a source that cannot be reached is a 503, a bug a 500 of which the log has the details', async () => {
    await using h = await servingConfig();
    h.control.reloading = async () => {
      throw new HectorError('store_unreachable', 'consul does not answer');
    };
    const away = await h.ask('/api/config/reload', { method: 'POST' });
    assert.deepEqual([away.status, away.body.error.code], [503, 'source_unavailable']);
    assert.match(away.body.error.message, /consul does not answer/);
    assert.ok(away.headers.get('retry-after'));
    h.control.reloading = async () => {
      throw new TypeError('x is not a function');
    };
    const bug = await h.ask('/api/config/reload', { method: 'POST' });
    assert.deepEqual([bug.status, bug.body.error.code], [500, 'internal']);
    assert.doesNotMatch(bug.text, /not a function/);
  });

  test('calls that come while one is under way share it; the next has its own', async () => {
    await using h = await servingConfig();
    const wait = gate();
    let reloads = 0;
    h.control.reloading = async (): Promise<ReloadEvent> => {
      reloads++;
      await wait.opened;
      return { result: 'noop', durationSeconds: 0 };
    };
    const calls = Array.from({ length: 5 }, () => h.ask('/api/config/reload', { method: 'POST' }));
    await until(() => h.runtime.current?.leases === 5);
    wait.open();
    for (const { body } of await Promise.all(calls)) assert.equal(body.result, 'noop');
    assert.equal(reloads, 1);
    await h.ask('/api/config/reload', { method: 'POST' });
    assert.equal(reloads, 2);
  });

  test('methods that are not there are named', async () => {
    await using h = await servingConfig();
    for (const [path, method, allow] of [
      ['/api/config/status', 'POST', 'HEAD, GET'],
      ['/api/config/reload', 'GET', 'POST'],
      ['/api/config', 'DELETE', 'HEAD, GET, PUT, POST'],
      ['/api/schema', 'PUT', 'HEAD, GET'],
    ] as const) {
      const { status, headers } = await h.ask(path, { method });
      assert.deepEqual([path, status, headers.get('allow')], [path, 405, allow]);
    }
    assert.equal((await h.ask('/api/other')).status, 404);
  });
});

describe('who may ask', () => {
  test('without authentication, this machine only', async () => {
    await using h = await servingConfig({ host: '0.0.0.0' });
    const address = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
    if (address !== undefined) {
      const { status, text } = await askAs(h.port, { Host: `localhost:${h.port}` }, address);
      assert.equal(status, 403);
      assert.match(text, /not_local.*127\.0\.0\.1.*server\.auth/);
    }
    assert.equal((await askAs(h.port, { Host: `127.0.0.1:${h.port}` })).status, 200);
    for (const path of ['/api/config/status', '/api/config', '/api/schema']) {
      const { status, body } = await h.ask(path, { headers: { 'X-Forwarded-For': '10.0.0.7' } });
      assert.deepEqual([path, status, body.error.code], [path, 403, 'not_local']);
    }
    assert.equal((await h.put('name: x', { Forwarded: 'for=10.0.0.7' })).status, 403);
    assert.equal(h.control.document.revision, 'r1');
  });

  test('which addresses and hosts are this machine', () => {
    const reason = (remoteAddress: string | undefined, headers: Record<string, string> = { host: 'localhost:8080' }) =>
      strangerReason({ headers, socket: { remoteAddress } });
    for (const own of ['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1']) assert.equal(reason(own), undefined, own);
    for (const other of ['10.0.0.1', '128.0.0.1', '::ffff:10.0.0.1', 'fe80::1', '::', '0.0.0.0', undefined])
      assert.match(String(reason(other)), /comes from/, other);
    for (const host of ['localhost', 'LOCALHOST:80', 'a.localhost:1', '127.0.0.1:8080', '[::1]:8080', '127.1.1.1'])
      assert.equal(reason('127.0.0.1', { host }), undefined, host);
    assert.equal(reason('127.0.0.1', {}), undefined, 'HTTP/1.0');
    for (const host of ['evil.test:8080', 'localhost.evil.test', '127.0.0.1.evil.test', '10.0.0.1', '[fe80::1]:80', ''])
      assert.match(String(reason('127.0.0.1', { host })), /host/, host);
    for (const name of ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'])
      assert.match(String(reason('127.0.0.1', { host: 'localhost', [name]: '' })), /proxy/, name);
  });

  test('a name that was made to resolve to this machine is none of its own', async () => {
    await using h = await servingConfig();
    const { status, text } = await askAs(h.port, { Host: `evil.test:${h.port}`, Origin: `http://evil.test:${h.port}` });
    assert.deepEqual([status, JSON.parse(text).error.code], [403, 'not_local']);
  });

  test('pages of other sites are refused', async () => {
    await using h = await servingConfig();
    const own = new URL(h.url).origin;
    for (const origin of ['https://evil.test', 'null', 'http://localhost:1', `${own}0`]) {
      const { status, body } = await h.put('name: x', { Origin: origin });
      assert.deepEqual([origin, status, body.error.code], [origin, 403, 'other_origin']);
      assert.equal((await h.ask('/api/config/status', { headers: { Origin: origin } })).status, 403);
    }
    assert.equal(
      (await askAs(h.port, { Host: `localhost:${h.port}`, Origin: `http://localhost:${h.port}` })).status,
      200,
    );
    assert.equal(h.control.document.revision, 'r1');
    assert.equal((await h.put('name: x', { Origin: own })).status, 200);
  });

  test('what a form can send is no configuration and no command', async () => {
    await using h = await servingConfig();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const init = { method: 'POST', body: 'name: x', headers: { 'Content-Type': type } };
      assert.equal((await h.ask('/api/config', init)).status, 415, type);
      assert.equal((await h.ask('/api/config/reload', init)).status, 415, type);
    }
    assert.equal((await h.ask('/api/config/reload', { method: 'POST', body: '{}', headers: json })).status, 200);
    assert.equal((await h.put('name: x', { 'Content-Encoding': 'gzip' })).status, 415);
  });

  test('with authentication, whoever has a role for it, from anywhere', async () => {
    const server = { auth: { enabled: true, require_auth: false, excluded_paths: ['/api/config/status'] } };
    await using h = await servingConfig({ generation: { server, authSchemes: { bearer } } });
    for (const path of ['/api/config/status', '/api/config', '/api/schema']) {
      const without = await h.ask(path);
      assert.deepEqual(
        [path, without.status, without.headers.get('www-authenticate')],
        [path, 401, 'Bearer realm="hector"'],
      );
      const headers = { Authorization: 'Bearer good', 'X-Forwarded-For': '10.0.0.7' };
      assert.equal((await h.ask(path, { headers })).status, 200, path);
      const plain = await h.ask(path, { headers: { Authorization: 'Bearer plain' } });
      assert.deepEqual([path, plain.status, plain.body.error.code], [path, 403, 'forbidden']);
    }
    assert.equal((await h.put('name: x', { Authorization: 'Bearer plain' })).status, 403);
    assert.equal((await h.ask('/api/config', { headers: { Authorization: 'Bearer bad' } })).status, 401);
    assert.equal((await h.put('name: x', { Authorization: 'Bearer good', Origin: 'https://evil.test' })).status, 403);
    assert.equal((await h.put('name: x', { Authorization: 'Bearer good' })).status, 200);
    assert.ok(h.lines.some(({ by, revision }) => by === 'ann' && revision === 'r2'));
  });
});

test('which roles, the configuration says', async () => {
  const auth = { enabled: true, require_auth: true, excluded_paths: [] };
  const studio = { enabled: true, allowed_roles: ['admin'] };
  await using h = await servingConfig({ generation: { server: { auth, studio }, authSchemes: { bearer } } });
  assert.equal((await h.ask('/api/config', { headers: { Authorization: 'Bearer good' } })).status, 403);
});

describe('studio', () => {
  test('is off unless it is asked for', async () => {
    await using h = await servingConfig({ studio: false });
    for (const [path, method] of [
      ['/api/config', 'GET'],
      ['/api/config', 'PUT'],
      ['/api/config', 'POST'],
      ['/api/schema', 'GET'],
    ] as const) {
      const { status, body } = await h.ask(path, { method });
      assert.deepEqual([path, status, body.error.code], [path, 403, 'studio_disabled']);
      assert.match(body.error.message, /--studio/);
    }
  });

  test('the document, as the source has it', async () => {
    await using h = await servingConfig();
    h.control.document = { ...h.control.document, text: '# mine\nname: ${NAME:-x}\n' };
    const got = await h.ask('/api/config');
    assert.deepEqual([got.status, got.text], [200, '# mine\nname: ${NAME:-x}\n']);
    assert.deepEqual(
      ['content-type', 'etag', 'cache-control'].map((name) => got.headers.get(name)),
      ['application/yaml', '"r1"', 'no-store'],
    );
    assert.equal((await h.ask('/api/config', { headers: { 'If-None-Match': '"r0", W/"r1"' } })).status, 304);
    h.control.document = { ...h.control.document, text: '', entries: new Map([['agents/a', 'type: llm']]) };
    const { body, headers } = await h.ask('/api/config');
    assert.deepEqual(
      [headers.get('content-type'), body],
      ['application/json', { entries: { 'agents/a': 'type: llm' } }],
    );
    h.control.document = { ...h.control.document, missing: true };
    assert.equal((await h.ask('/api/config')).status, 404);
    h.control.down = new HectorError('unavailable', 'etcd is away');
    assert.equal((await h.ask('/api/config')).status, 503);
  });

  test('the schema, once for all who have it', async () => {
    await using h = await servingConfig();
    const { status, headers, body } = await h.ask('/api/schema');
    assert.deepEqual([status, headers.get('content-type')], [200, 'application/schema+json']);
    assert.ok(body.properties.agents);
    const etag = headers.get('etag') as string;
    assert.equal((await h.ask('/api/schema', { headers: { 'If-None-Match': etag } })).status, 304);
  });

  test('a good configuration is written', async () => {
    await using h = await servingConfig();
    const { status, body, headers } = await h.put('name: second\n');
    assert.equal(status, 200);
    assert.deepEqual([body.status, body.revision, headers.get('etag')], ['saved', 'r2', '"r2"']);
    assert.match(body.message, /status/);
    assert.equal(h.control.document.text, 'name: second\n');
    h.control.state = { watching: false };
    const posted = await h.ask('/api/config', { method: 'POST', body: '{"name":"third"}', headers: json });
    assert.match(posted.body.message, /reload/);
    assert.deepEqual([posted.status, h.control.document.text], [200, '{"name":"third"}']);
  });

  test('entries are written as entries', async () => {
    await using h = await servingConfig();
    h.control.document = { ...h.control.document, text: '', entries: new Map([['agents/a', '{}']]) };
    const put = (body: unknown) => h.ask('/api/config', { method: 'PUT', body: JSON.stringify(body), headers: json });
    assert.equal((await put({ entries: { 'agents/a': '{}', 'agents/b': 'description: b' } })).status, 200);
    assert.deepEqual([...(h.control.document.entries ?? [])].length, 2);
    for (const wrong of [
      { entries: [] },
      { entries: { a: 1 } },
      { entries: {}, name: 'x' },
      { entries: {} },
      { entries: null },
    ])
      assert.equal((await put(wrong)).status, 400, JSON.stringify(wrong));
    assert.equal(h.control.document.revision, 'r2');
  });

  test('a wrong one is refused with everything that is wrong with it', async () => {
    await using h = await servingConfig();
    const { status, body } = await h.put('agents:\n  writer:\n    lm: gpt\n    streaming: perhaps\n');
    assert.deepEqual([status, body.error.code, body.error.issues.length], [400, 'config', 2]);
    const [{ path, line, column, file, suggestion }] = body.error.issues;
    assert.deepEqual(
      { path, line, column, file, suggestion },
      {
        path: ['agents', 'writer', 'lm'],
        line: 3,
        column: 5,
        file: 'memory:hector',
        suggestion: 'llm',
      },
    );
    for (const text of ['name: [', '\t', '', 'a: 1\na: 2\n']) assert.equal((await h.put(text)).status, 400, text);
    assert.equal((await h.ask('/api/config', { method: 'PUT', body: '{', headers: json })).status, 400);
    const latin = { method: 'PUT', body: Buffer.from([0x6e, 0xe4]), headers: { 'Content-Type': 'application/yaml' } };
    assert.equal((await h.ask('/api/config', latin)).status, 400);
    assert.equal(h.control.document.revision, 'r1');
  });

  test('more than 4 MiB are not taken', async () => {
    await using h = await servingConfig();
    const { status, body } = await h.put(`# ${'x'.repeat(4 * 1024 ** 2)}\n`);
    assert.deepEqual([status, body.error.code], [413, 'too_large']);
    assert.doesNotMatch(body.error.message, /max_body_size/);
  });

  test('If-Match writes over what the caller has seen and nothing else', async () => {
    await using h = await servingConfig();
    assert.equal((await h.put('name: x', { 'If-Match': '"r0"' })).status, 412);
    assert.equal(h.control.document.revision, 'r1');
    assert.equal((await h.put('name: x', { 'If-Match': '"r0", "r1"' })).status, 200);
    assert.equal((await h.put('name: y', { 'If-Match': '"r1"' })).status, 412);
    assert.equal((await h.put('name: y', { 'If-Match': '*' })).status, 200);
    h.control.document = { ...h.control.document, missing: true };
    assert.equal((await h.put('name: y', { 'If-Match': '*' })).status, 412);
  });

  test('If-None-Match: * only creates', async () => {
    await using h = await servingConfig();
    const { status, body } = await h.put('name: x', { 'If-None-Match': '*' });
    assert.deepEqual([status, body.error.code], [412, 'conflict']);
    assert.equal((await h.put('name: x', { 'If-None-Match': '"r1"' })).status, 400);
    h.control.document = { ...h.control.document, text: '', missing: true };
    assert.equal((await h.put('name: x', { 'If-None-Match': '*' })).status, 200);
  });

  test('what moves between the reading and the writing wins', async () => {
    await using h = await servingConfig();
    let moves = 1;
    h.control.meanwhile = () => {
      h.control.document = { ...h.control.document, revision: `other${moves++}` };
    };
    assert.equal((await h.put('name: x')).status, 409);
    assert.equal((await h.put('name: x', { 'If-Match': '"other1"' })).status, 412);
    assert.equal(h.control.document.text, 'name: first\n');
  });

  test('what the source says of a write', async () => {
    await using h = await servingConfig();
    for (const [code, status] of [
      ['too_large', 413],
      ['invalid_content', 400],
      ['read_only', 403],
      ['forbidden', 403],
      ['unavailable', 503],
    ] as const) {
      h.control.meanwhile = () => {
        throw new HectorError(code, `It says ${code}.`);
      };
      const answer = await h.put('name: x');
      assert.deepEqual([code, answer.status], [code, status]);
      assert.match(answer.body.error.message, new RegExp(`It says ${code}`));
    }
    h.control.meanwhile = () => {
      throw new TypeError('a bug');
    };
    assert.equal((await h.put('name: x')).status, 500);
    h.control.down = new HectorError('unavailable', 'etcd is away');
    assert.equal((await h.put('name: x')).status, 503);
  });

  test('server, plugins, secrets and config stay as they are, and nothing is loaded to find that out', async () => {
    await using h = await servingConfig();
    const text = 'server: { port: 1, auth: { enabled: false } }\nplugins: []\nname: first\n';
    h.control.document = { ...h.control.document, text };
    for (const changed of [
      'name: x\n',
      'server: { port: 2, auth: { enabled: false } }\n',
      'server: { port: 1 }\n',
      '<<: { server: { port: 2, auth: { enabled: false } } }\n',
      '"server":\n  auth: { enabled: false }\n',
      `${text}config: { provider: file, path: /etc/passwd }\n`,
      `${text}secrets: { a: { type: directory, path: /etc } }\n`,
      text.replace('[]', '["./evil.js"]'),
      text.replace('[]', './evil.js'),
    ]) {
      const { status, body } = await h.put(changed);
      assert.deepEqual([changed, status, body.error.code], [changed, 403, 'section_fixed']);
    }
    assert.equal(h.control.checks, 0);
    assert.equal(h.control.document.text, text);
    for (const same of [
      text.replace('first', 'second'),
      '{"server":{"auth":{"enabled":false},"port":1},"name":"third"}',
      'server: &s { port: 1, auth: &a { enabled: false } }\nname: fourth\n',
    ]) {
      const { status, body } = await h.put(same);
      assert.equal(status, 200, `${same}: ${JSON.stringify(body)}`);
    }
  });

  test('a first configuration has no server block, and an empty one is none', async () => {
    await using h = await servingConfig();
    h.control.document = { ...h.control.document, text: '', missing: true };
    assert.equal((await h.put('server: { port: 1 }\n')).status, 403);
    assert.equal((await h.put('server: {}\nplugins:\nname: x\n')).status, 200);
  });

  test('entries cannot bring in a server block either', async () => {
    await using h = await servingConfig();
    h.control.document = {
      ...h.control.document,
      text: '',
      entries: new Map([
        ['server', 'port: 1'],
        ['agents/a', '{}'],
      ]),
    };
    const put = (entries: Record<string, string>) =>
      h.ask('/api/config', { method: 'PUT', body: JSON.stringify({ entries }), headers: json });
    for (const changed of [
      { 'agents/a': '{}' },
      { server: 'port: 2' },
      { server: 'port: 1', 'server/auth': 'enabled: false' },
      { server: 'port: 1', '': 'server: { host: 0.0.0.0 }' },
      { server: 'port: 1', plugins: '["./evil.js"]' },
    ])
      assert.equal((await put(changed)).status, 403, JSON.stringify(changed));
    assert.equal((await put({ server: 'port: 1', '/server': 'port: 2' })).status, 400);
    assert.equal((await put({ 'server/port': '1', 'agents/b': '{}' })).status, 200);
  });

  test('over a source that cannot be read nothing is written', async () => {
    await using h = await servingConfig();
    h.control.document = { ...h.control.document, text: 'server: [' };
    const { status, body } = await h.put('name: x');
    assert.deepEqual([status, body.error.code], [409, 'source_broken']);
    assert.match(body.error.message, /rollback/);
  });

  test('few are saved at once', async () => {
    await using h = await servingConfig();
    const wait = gate();
    const { read } = h.control;
    let reads = 0;
    h.control.read = async () => {
      reads++;
      await wait.opened;
      return read.call(h.control);
    };
    const calls = Array.from({ length: 4 }, (_, at) => h.put(`name: n${at}\n`));
    await until(() => reads === 4);
    const headers = { 'Content-Type': 'application/yaml' };
    const fifth = { method: 'PUT', headers, signal: AbortSignal.timeout(10_000) };
    assert.equal((await h.ask('/api/config', fifth)).status, 503);
    wait.open();
    const answers = (await Promise.all(calls)).map(({ status }) => status).sort();
    assert.deepEqual(answers, [200, 409, 409, 409]);
    assert.equal((await h.put('name: x')).status, 200);
  });
});

test('any revision makes a tag', () => {
  for (const revision of ['r1', '1f', 'a b', 'a"b', 'a,b', '50%', 'ü']) {
    const tag = tagOf(revision);
    assert.match(tag, /^"[\x21\x23-\x7e]*"$/);
    assert.ok(isTagged(`"x", ${tag}`, tag));
    assert.ok(!isTagged('"x"', tag));
  }
  assert.equal(new Set(['a,b', 'a%2Cb'].map(tagOf)).size, 2);
});
