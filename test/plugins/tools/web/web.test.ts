import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { redirect, webServer } from '../../../support/web-server.ts';
import { webTools } from './web-tools.ts';

test('web_fetch reads a page, in whatever letters it is written', async () => {
  await using server = await webServer(({ path }, response) => {
    if (path === '/latin') {
      return response
        .setHeader('content-type', 'text/html; charset=iso-8859-1')
        .end(Buffer.from('<p>gr\xfcn', 'latin1'));
    }
    if (path === '/json') return response.setHeader('content-type', 'application/json').end('{"a": "<b>"}');
    if (path === '/old') return redirect('/latin')({} as never, response);
    return response.setHeader('content-type', 'text/html').end('<title>Home</title><p>Hello <a href="/x">x</a>');
  });
  await using web = await webTools();
  assert.equal(
    await web.call('web_fetch', { url: `${server.url}/` }),
    `Home\n${server.url}/\n\nHello [x](${server.url}/x)`,
  );
  assert.equal(await web.call('web_fetch', { url: `${server.url}/old` }), `${server.url}/latin\n\ngrün`);
  assert.equal(await web.call('web_fetch', { url: `${server.url}/json` }), `${server.url}/json\n\n{"a": "<b>"}`);
  assert.match(server.requests[0]?.headers['user-agent'] ?? '', /^Hector\//);
});

test('web_fetch says what it could not read, and where it stopped', async () => {
  const bomb = gzipSync(Buffer.alloc(32 * 1024 ** 2, 'x'));
  await using server = await webServer(({ path }, response) => {
    if (path === '/image') return response.setHeader('content-type', 'image/png').end('png');
    if (path === '/missing') return response.writeHead(404, { 'content-type': 'text/html' }).end('<p>Not here');
    if (path === '/bomb') {
      return response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }).end(bomb);
    }
    return response.setHeader('content-type', 'text/plain').end('y'.repeat(5_000));
  });
  await using web = await webTools({ max_text: 1_000, max_response_size: '2KiB' });
  const at = (path: string) => web.call('web_fetch', { url: `${server.url}${path}` });
  await assert.rejects(at('/image'), /image\/png, which cannot be read/);
  await assert.rejects(at('/missing'), /answered 404: Not here/);
  assert.match(String(await at('/long')), /y{1000}\n\n\[Cut off after 1000 characters\.\]$/);
  assert.match(String(await at('/bomb')), /x{1000}\n\n\[Cut off after 1000 characters\.\]$/);
  await using wide = await webTools({ max_text: 10_000, max_response_size: '2KiB' });
  const cut = String(await wide.call('web_fetch', { url: `${server.url}/bomb` }));
  assert.match(cut, /\n\nx{2048}\n\n\[Cut off: the answer is longer than what is read of one\.\]$/);
});

test('web_fetch goes to no address of this machine or its networks, nor is it redirected there', async () => {
  await using inside = await webServer();
  await using web = await webTools({}, []);
  for (const url of [inside.url, 'http://169.254.169.254/', `http://localhost:${inside.port}/`, 'http://2130706433/']) {
    await assert.rejects(web.call('web_fetch', { url }), { code: 'outbound_refused' }, url);
    await assert.rejects(web.call('web_request', { url }), { code: 'outbound_refused' }, url);
  }
  await using outside = await webServer(redirect(`http://127.0.0.2:${inside.port}/`));
  await using allowing = await webTools();
  await assert.rejects(allowing.call('web_fetch', { url: outside.url }), { code: 'outbound_refused' });
  assert.equal(inside.connections, 0);
});

test('domains that are denied, or not among those that are allowed, are not asked for; nor by way of a redirect', async () => {
  await using server = await webServer(({ path }, response) =>
    path === '/away' ? redirect(`http://localhost:${server.port}/`)({} as never, response) : response.end('here'),
  );
  const outbound = ['127.0.0.1', 'localhost'];
  await using web = await webTools({ allowed_domains: ['127.0.0.1', '*.example.com'] }, outbound);
  assert.match(String(await web.call('web_fetch', { url: server.url })), /here/);
  const denied = { code: 'domain_denied' };
  for (const url of [
    `${server.url}/away`,
    `http://localhost:${server.port}/`,
    'http://example.com/',
    'http://xexample.com/',
  ]) {
    await assert.rejects(web.call('web_fetch', { url }), denied, url);
  }
  await using other = await webTools({ denied_domains: ['localhost'] }, outbound);
  assert.match(String(await other.call('web_fetch', { url: server.url })), /here/);
  await assert.rejects(other.call('web_fetch', { url: `http://LOCALHOST.:${server.port}/` }), denied);
  assert.equal(server.requests.length, 3);
});

test('web_request sends what it is told to, once, and tells all of the answer', async () => {
  await using server = await webServer(({ path }, response) =>
    path === '/binary'
      ? response.end(Buffer.from([0, 1, 2]))
      : response.writeHead(503, { 'content-type': 'application/json', 'x-own': 'y' }).end('{"error":"busy"}'),
  );
  await using web = await webTools();
  const sent = { method: 'POST', url: `${server.url}/x`, headers: { 'Content-Type': 'text/csv' }, body: 'a,b' };
  const answer = (await web.call('web_request', sent)) as Record<string, unknown>;
  assert.deepEqual([answer['status'], answer['body'], answer['url']], [503, '{"error":"busy"}', sent.url]);
  assert.equal((answer['headers'] as Record<string, string>)['x-own'], 'y');
  const [request] = server.requests;
  assert.deepEqual([request?.method, request?.body, request?.headers['content-type']], ['POST', 'a,b', 'text/csv']);
  assert.equal(server.requests.length, 1);
  const binary = (await web.call('web_request', { url: `${server.url}/binary` })) as { body: string };
  assert.equal(binary.body, '[3 bytes of something that is no text]');
});

test('web_request refuses what it must not send', async () => {
  await using server = await webServer();
  await using web = await webTools({ allowed_methods: ['GET', 'POST'], max_request_size: '10B' });
  const send = (more: object) => web.call('web_request', { url: server.url, ...more });
  for (const name of ['Host', 'content-length', 'X-Forwarded-For', 'X-Hector-Agent-Depth', 'Proxy-Authorization']) {
    await assert.rejects(send({ headers: { [name]: '1' } }), /cannot be set/, name);
  }
  await assert.rejects(send({ headers: { 'a b': 'x' } }), /HTTP cannot carry/);
  await assert.rejects(send({ method: 'POST', body: 'x'.repeat(11) }), /longer than 10 bytes/);
  await assert.rejects(send({ body: 'x' }), /has no body/);
  assert.equal(server.requests.length, 0);
});

test('a server that does not answer is given up, and so is a call that is cancelled', async () => {
  await using server = await webServer(() => undefined);
  await using web = await webTools({ timeout: '200ms' });
  await assert.rejects(web.call('web_fetch', { url: server.url }), { code: 'outbound_timeout' });
  await assert.rejects(web.call('web_fetch', { url: server.url }, AbortSignal.abort(new Error('enough'))), /enough/);
});
