import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Resolve } from '../../../core/net/address-guard.ts';
import { createOutbound } from '../../../core/net/outbound.ts';
import { redirect, webServer } from '../../support/web-server.ts';

const refused = { code: 'outbound_refused' };
const open = createOutbound({ allow: ['127.0.0.0/8', 'localhost'] });

const resolving =
  (...answers: string[]): Resolve =>
  async () => [{ address: (answers.length > 1 ? answers.shift() : answers[0]) ?? '', family: 4 }];

test('what is not public is refused, in every spelling that a URL has for it', async () => {
  await using server = await webServer();
  const outbound = createOutbound();
  for (const host of [
    '127.0.0.1',
    'localhost',
    'LOCALHOST.',
    'any.localhost',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
  ]) {
    await assert.rejects(outbound.fetch(`http://${host}:${server.port}/`), refused, host);
  }
  for (const host of [
    '10.0.0.1',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '169.254.169.254',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[fc00::1]',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    '203.0.113.7',
    'metadata.google.internal',
    'metadata.google.internal.',
    'METADATA',
  ]) {
    await assert.rejects(outbound.fetch(`http://${host}/`), refused, host);
  }
  assert.equal(server.connections, 0);
});

test('a refusal says who and what to do, and never which address a name has', async () => {
  const outbound = createOutbound({ resolve: resolving('10.1.2.3') });
  await assert.rejects(outbound.fetch('http://127.0.0.1:8080/'), {
    ...refused,
    message: 'The host "127.0.0.1" is a loopback address; list it in server.outbound.allow to allow it.',
  });
  await assert.rejects(outbound.fetch('http://inside.test/'), {
    ...refused,
    message: 'The host "inside.test" is at a private address; list it in server.outbound.allow to allow it.',
  });
});

test('other schemes and credentials in a URL are refused', async () => {
  for (const url of [
    'ftp://example.com/',
    'file:///etc/passwd',
    'data:text/plain,x',
    '/relative',
    'http://',
    'gopher://x',
  ]) {
    await assert.rejects(open.fetch(url), refused, url);
  }
  await assert.rejects(open.fetch('http://user:pass@127.0.0.1/'), { ...refused, message: /user name or password/ });
  await assert.rejects(open.fetch('http://user:pass@127.0.0.1/'), ({ message }: Error) => !message.includes('pass@'));
});

test('the address that was checked is connected to: a name that changes its mind gains nothing', async () => {
  await using server = await webServer();
  let asked = 0;
  const resolve: Resolve = async () => {
    asked++;
    // TEST-NET would be refused, so the first answer is a public address where nobody answers.
    return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
  };
  const once = createOutbound({ allow: ['127.0.0.1'], resolve });
  assert.equal(await (await once.fetch(`http://name.test:${server.port}/`)).text(), 'hello');
  assert.equal(asked, 1, 'there is no second look that could differ');

  // As a webhook is: checked when it is given, connected to later.
  await using redirecting = await webServer(redirect(`http://rebinding.test:${server.port}/`));
  const answers = resolving('127.0.0.2', '127.0.0.1');
  const rebinding = createOutbound({ allow: ['127.0.0.2'], resolve: answers });
  await using client = rebinding.client({ configured: [redirecting.url] });
  await answers('rebinding.test');
  await assert.rejects(client.fetch(redirecting.url), refused);
  assert.equal(server.requests.length, 1);
});

test('one address of many that is not allowed is enough', async () => {
  await using server = await webServer();
  const resolve: Resolve = async () => [
    { address: '127.0.0.1', family: 4 },
    { address: '127.0.0.2', family: 4 },
  ];
  const outbound = createOutbound({ allow: ['127.0.0.1'], resolve });
  await assert.rejects(outbound.fetch(`http://both.test:${server.port}/`), refused);
  assert.equal(server.connections, 0);
});

test('what the configuration names is reached at its host and port alone, and never at the metadata of a cloud', async () => {
  await using server = await webServer();
  await using other = await webServer();
  await using client = createOutbound().client({
    configured: [server.url, 'http://169.254.169.254/', 'http://far.test/'],
  });
  assert.equal(await (await client.fetch(`${server.url}/x`)).text(), 'hello');
  await assert.rejects(client.fetch(other.url), refused);
  await assert.rejects(client.fetch(`http://localhost:${server.port}/`), refused);
  await assert.rejects(client.fetch('http://169.254.169.254/latest/meta-data/'), {
    ...refused,
    message: /metadata address of a cloud; list it in server\.outbound\.allow/,
  });
  client.configure(other.url);
  assert.equal((await client.fetch(other.url)).status, 200);
});

test('a redirect is followed where it may be gone, three times at most', async () => {
  await using server = await webServer(({ path }, response) => {
    const left = Number(path.slice(1));
    if (left === 0) response.end('there');
    else response.writeHead(302, { location: `/${left - 1}` }).end();
  });
  const response = await open.fetch(`${server.url}/3`);
  assert.deepEqual([await response.text(), response.url], ['there', `${server.url}/0`]);
  await assert.rejects(open.fetch(`${server.url}/4`), { ...refused, message: /more than 3 times/ });
  assert.equal((await open.fetch(`${server.url}/1`, { maxRedirects: 0 })).status, 302);
});

test('a redirect is checked like what is asked for', async () => {
  await using inside = await webServer();
  for (const to of [
    `http://localhost:${inside.port}/`,
    `http://127.0.0.1:${inside.port}/`,
    `http://[::ffff:127.0.0.1]:${inside.port}/`,
    'http://169.254.169.254/latest/meta-data/',
    'http://metadata.google.internal/',
    'http://user:pass@example.com/',
    'file:///etc/passwd',
  ]) {
    await using server = await webServer(redirect(to));
    await using client = createOutbound().client({ configured: [server.url] });
    await assert.rejects(client.fetch(server.url), refused, to);
    assert.equal(server.requests.length, 1, to);
  }
  assert.equal(inside.connections, 0);
});

const secrets = { authorization: 'Bearer s', cookie: 'a=s', 'x-api-key': 's', 'x-own': 's', accept: 'text/plain' };

test('what is secret does not go to another origin', async () => {
  await using other = await webServer();
  await using server = await webServer(({ path }, response) =>
    path === '/near'
      ? redirect('/here')({} as never, response)
      : path === '/here'
        ? response.end()
        : redirect(other.url)({} as never, response),
  );
  await open.fetch(`${server.url}/near`, { headers: secrets });
  const near = server.requests.at(-1)?.headers;
  assert.deepEqual([near?.authorization, near?.cookie, near?.['x-own']], ['Bearer s', 'a=s', 's']);
  await open.fetch(`${server.url}/far`, { headers: secrets });
  const far = other.requests.at(-1)?.headers ?? {};
  assert.equal(far.accept, 'text/plain');
  for (const name of ['authorization', 'cookie', 'x-api-key', 'x-own']) assert.equal(far[name], undefined, name);
});

test('methods and bodies change as they do in browsers', async () => {
  await using server = await webServer(({ path }, response) => {
    if (path === '/end') response.end();
    else response.writeHead(Number(path.slice(1)), { location: '/end' }).end();
  });
  const sent = { headers: { 'content-type': 'text/plain' }, body: 'text' };
  const after = async (status: number, method: string) => {
    await open.fetch(`${server.url}/${status}`, { method, ...(method !== 'HEAD' && sent) });
    const { method: then, body, headers } = server.requests.at(-1) as (typeof server.requests)[0];
    return [then, body, headers['content-type']];
  };
  for (const status of [301, 302, 303]) assert.deepEqual(await after(status, 'POST'), ['GET', '', undefined]);
  for (const status of [307, 308]) assert.deepEqual(await after(status, 'POST'), ['POST', 'text', 'text/plain']);
  assert.deepEqual(await after(302, 'PUT'), ['PUT', 'text', 'text/plain']);
  assert.deepEqual(await after(303, 'HEAD'), ['HEAD', '', undefined]);
});

test('a body that is too long is cut off while it is read, also one that is small until it is unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(32 * 1024 ** 2));
  await using server = await webServer(({ path }, response) => {
    if (path === '/bomb') return response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    return response.end('x'.repeat(1_001));
  });
  const tooLarge = { code: 'outbound_too_large', message: /sent more than 1000 bytes/ };
  await assert.rejects((await open.fetch(server.url, { maxBytes: 1_000 })).text(), tooLarge);
  assert.equal((await (await open.fetch(server.url, { maxBytes: 1_001 })).text()).length, 1_001);
  await assert.rejects((await open.fetch(`${server.url}/bomb`, { maxBytes: 1_000 })).text(), tooLarge);
  await assert.rejects((await open.fetch(`${server.url}/bomb`)).text(), { code: 'outbound_too_large' });
});

test('one that takes too long is given up, before its answer and in the middle of it', async () => {
  await using server = await webServer(({ path }, response) => {
    if (path === '/begin') response.write('begun');
  });
  const late = { code: 'outbound_timeout', message: /did not answer completely in 0\.2 s/ };
  await assert.rejects(open.fetch(server.url, { timeoutMs: 200 }), late);
  await assert.rejects((await open.fetch(`${server.url}/begin`, { timeoutMs: 200 })).text(), late);
});

test('the caller ends it when he likes', async () => {
  await using server = await webServer((_, response) => void response.write('begun'));
  const controller = new AbortController();
  const response = await open.fetch(server.url, { signal: controller.signal });
  const reading = response.text();
  controller.abort(new Error('enough'));
  await assert.rejects(reading, /enough/);
  await assert.rejects(open.fetch(server.url, { signal: controller.signal }), /enough/);
});

test('each URL on the way can be refused by whoever asks', async () => {
  await using other = await webServer();
  await using server = await webServer(redirect(other.url));
  const seen: string[] = [];
  await using client = open.client({
    permit(url) {
      seen.push(url.origin);
      if (url.origin === other.url) throw new Error('not there');
    },
  });
  await assert.rejects(client.fetch(server.url), /not there/);
  assert.deepEqual([seen, other.connections], [[server.url, other.url], 0]);
});

test('connections that were closed are closed: what is under way ends, or is cut', async () => {
  await using server = await webServer((_, response) => void response.write('begun'));
  const client = open.client();
  const { body } = await client.fetch(server.url, { timeoutMs: Number.POSITIVE_INFINITY });
  const closing = client.close(60_000);
  await assert.rejects(client.fetch(server.url), { code: 'closed' });
  const reader = body?.getReader();
  await reader?.read();
  const cut = assert.rejects(async () => reader?.read());
  await client[Symbol.asyncDispose]();
  await Promise.all([cut, closing.catch(() => undefined)]);
});
