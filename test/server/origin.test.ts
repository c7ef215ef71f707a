import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originRule } from '../../server/middleware/origin.ts';
import { serving, socketTo } from '../support/serving.ts';
import { until } from '../support/until.ts';

interface Case {
  readonly name: string;
  readonly public_url?: string;
  readonly trusted?: string[];
  readonly from?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly origin: string;
}

const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'agents.example.com' };

const cases: readonly Case[] = [
  { name: 'Host', headers: { host: 'localhost:8080' }, origin: 'http://localhost:8080' },
  { name: 'Host, IPv6', headers: { host: '[::1]:8080' }, origin: 'http://[::1]:8080' },
  { name: 'Host of a compose service', headers: { host: 'my_hector:8080' }, origin: 'http://my_hector:8080' },
  { name: 'no Host (HTTP/1.0)', headers: {}, origin: 'http://127.0.0.1:8080' },
  {
    name: 'public_url wins over everything',
    public_url: 'https://a.example/hector/',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', ...forwarded },
    origin: 'https://a.example/hector',
  },
  { name: 'forwarded, nobody is trusted', headers: { host: 'real:8080', ...forwarded }, origin: 'http://real:8080' },
  {
    name: 'forwarded by a stranger',
    trusted: ['10.0.0.0/8'],
    from: '11.0.0.7',
    headers: { host: 'real:8080', ...forwarded },
    origin: 'http://real:8080',
  },
  {
    name: 'forwarded by a trusted address',
    trusted: ['10.0.0.7'],
    headers: { host: 'real:8080', ...forwarded },
    origin: 'https://agents.example.com',
  },
  {
    name: 'forwarded by a trusted range',
    trusted: ['192.168.0.0/16', '10.0.0.0/8'],
    headers: { host: 'real:8080', ...forwarded },
    origin: 'https://agents.example.com',
  },
  {
    name: 'IPv4-mapped peer',
    trusted: ['10.0.0.0/8'],
    from: '::ffff:10.0.0.7',
    headers: { host: 'x', ...forwarded },
    origin: 'https://agents.example.com',
  },
  {
    name: 'IPv4-mapped stranger',
    trusted: ['10.0.0.0/8'],
    from: '::ffff:11.0.0.7',
    headers: { host: 'x', ...forwarded },
    origin: 'http://x',
  },
  {
    name: 'IPv6 range',
    trusted: ['fd00::/8'],
    from: 'fd12::1',
    headers: { host: 'x', ...forwarded },
    origin: 'https://agents.example.com',
  },
  {
    name: 'IPv6 stranger',
    trusted: ['fd00::/8'],
    from: 'fe80::1',
    headers: { host: 'x', ...forwarded },
    origin: 'http://x',
  },
  {
    name: 'only the protocol (nginx of the guide)',
    trusted: ['10.0.0.7'],
    headers: { host: 'agents.example.com', 'x-forwarded-proto': 'https' },
    origin: 'https://agents.example.com',
  },
  {
    name: 'a port of its own',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', ...forwarded, 'x-forwarded-port': '8443' },
    origin: 'https://agents.example.com:8443',
  },
  {
    name: 'the port that goes without saying',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', ...forwarded, 'x-forwarded-port': '443' },
    origin: 'https://agents.example.com',
  },
  {
    name: 'a port twice',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', 'x-forwarded-host': 'h:8443', 'x-forwarded-port': '1' },
    origin: 'http://h:8443',
  },
  {
    name: 'a prefix',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', ...forwarded, 'x-forwarded-prefix': '/ai/hector/' },
    origin: 'https://agents.example.com/ai/hector',
  },
  {
    name: 'a chain of proxies',
    trusted: ['10.0.0.7'],
    headers: { host: 'x', 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'outer.example, inner' },
    origin: 'https://outer.example',
  },
  {
    name: 'nonsense from a trusted proxy',
    trusted: ['10.0.0.7'],
    headers: {
      host: 'real',
      'x-forwarded-proto': 'gopher',
      'x-forwarded-host': 'a/b?c',
      'x-forwarded-port': '-1',
      'x-forwarded-prefix': '//evil.example',
    },
    origin: 'http://real',
  },
];

for (const { name, public_url, trusted = [], from = '10.0.0.7', headers, origin } of cases) {
  test(`origin: ${name}`, () => {
    const rule = originRule({ ...(public_url !== undefined && { public_url }), trusted_proxies: trusted });
    assert.equal(
      rule({ headers, socket: { remoteAddress: from, localAddress: '::ffff:127.0.0.1', localPort: 8080 } }),
      origin,
    );
  });
}

for (const entry of ['proxy.internal', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/8/9', 'fd00::/129', '']) {
  test(`a trusted proxy "${entry}" is refused with a sentence that says what to write`, () => {
    assert.throws(
      () => originRule({ trusted_proxies: [entry] }),
      /neither an IP address nor a CIDR range. Write 10\.0\.0\.7/,
    );
  });
}

test('over HTTP: the generation’s own rule; a Host that is no host is 400', async () => {
  await using h = await serving(
    (router) =>
      router.get('/', (ctx) => {
        ctx.body = ctx.state.origin;
      }),
    {
      server: { trusted_proxies: ['127.0.0.1'] },
    },
  );
  const get = async () => (await fetch(h.url, { headers: { 'X-Forwarded-Host': 'a.example' } })).text();
  assert.equal(await get(), 'http://a.example');
  await h.runtime.reload({ server: { public_url: 'https://b.example' } });
  assert.equal(await get(), 'https://b.example');
  await h.runtime.reload({});
  assert.equal(await get(), h.url);

  const socket = await socketTo(h.port);
  socket.write('GET / HTTP/1.1\r\nHost: a"><script>\r\n\r\n');
  await until(() => socket.text().includes('bad_request'));
  assert.match(socket.text(), /^HTTP\/1\.1 400 /);
  socket.destroy();
});
