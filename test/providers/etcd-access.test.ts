import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ConfigDocument, type ConfigProvider, errorCode, errorMessage } from '../../core/index.ts';
import etcdPlugin from '../../providers/etcd.ts';
import type { Certificates } from '../services/certificates.ts';
import { type Etcd, etcdMissing, startEtcd } from '../services/etcd.ts';
import { freePort } from '../services/service.ts';
import { createInstance, extensionContext } from '../support/extension.ts';

type Provider = ConfigProvider & AsyncDisposable;

async function open(options: object): Promise<Provider> {
  return (await createInstance(etcdPlugin, { timeout: '2s', ...options }, extensionContext<'config'>())) as Provider;
}

async function first(provider: ConfigProvider): Promise<ConfigDocument> {
  const stop = new AbortController();
  for await (const document of provider.watch(stop.signal)) return document;
  throw new Error('The watch has ended');
}

async function refusal(options: object): Promise<string> {
  await using provider = await open(options);
  try {
    await first(provider);
  } catch (error) {
    return `${errorCode(error)}: ${errorMessage(error)}`;
  }
  assert.fail('it was not refused');
}

describe('who may read and write etcd', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  before(async () => {
    etcd = await startEtcd({ auth: true });
    const key = 'access/config';
    await etcd.ctl('put', key, 'for those who may');
    for (const [user, ...permissions] of [
      ['owner', ['readwrite', key], ['readwrite', `${key}.annex/`, '--prefix']],
      ['reader', ['read', key]],
      ['stranger'],
    ] as const) {
      await etcd.ctl('user', 'add', `${user}:secret-of-${user}`);
      await etcd.ctl('role', 'add', user);
      for (const [kind, at, ...flags] of permissions)
        await etcd.ctl('role', 'grant-permission', ...flags, user, kind, at);
      await etcd.ctl('user', 'grant-role', user, user);
    }
  });
  after(() => etcd[Symbol.asyncDispose]());

  const as = (user: string, password = `secret-of-${user}`) => ({
    address: etcd.url,
    key: 'access/config',
    user,
    password,
  });

  test('a user with its password reads, writes, watches, and keeps what is beside the key', async () => {
    await using provider = await open(as('owner'));
    const { text, revision } = await first(provider);
    assert.equal(text, 'for those who may');
    const signal = AbortSignal.timeout(20_000);
    const next = await provider.write?.({ text: 'written' }, revision, signal);
    await provider.write?.({ text: 'for those who may' }, next, signal);
    await provider.annex?.write('history/1', 'old', signal);
    assert.deepEqual(await provider.annex?.list('history', signal), ['1']);
    const announcement = provider.annex?.announce?.('replicas/one', 'here');
    while ((await provider.annex?.read('replicas/one', signal)) !== 'here');
    await announcement?.[Symbol.asyncDispose]();
    assert.equal(await provider.annex?.read('replicas/one', signal), undefined);
  });

  test('a wrong password says so, without the password', async () => {
    const said = await refusal(as('owner', 'not-the-secret'));
    assert.match(said, /^forbidden: etcd at http:.* does not accept the user "owner" with this password/);
    assert.doesNotMatch(said, /not-the-secret/);
  });

  test('nobody in particular is asked who it is', async () => {
    assert.match(
      await refusal({ address: etcd.url, key: 'access/config' }),
      /^forbidden: .*Set "user" and "password", or a client certificate/,
    );
  });

  test('a user without permission is told so, for reading and for writing', async () => {
    assert.match(await refusal(as('stranger')), /^forbidden: .* does not permit the user "stranger"/);
    await using reader = await open(as('reader'));
    const { revision } = await first(reader);
    await assert.rejects(Promise.resolve(reader.write?.({ text: 'mine' }, revision, AbortSignal.timeout(10_000))), {
      code: 'forbidden',
    });
  });

  test('a server that has forgotten its tokens is asked for a new one', async () => {
    await using provider = await open(as('owner'));
    const signal = AbortSignal.timeout(20_000);
    assert.equal(await provider.annex?.read('nothing', signal), undefined);
    // With every change of the roles the tokens given before are void.
    await etcd.ctl('role', 'grant-permission', 'owner', 'read', 'access/other');
    assert.equal(await provider.annex?.read('nothing', signal), undefined);
    await etcd.restart();
    assert.equal(await provider.annex?.read('nothing', signal), undefined);
  });

  test('a user is no harm where nobody is asked', async () => {
    await using open_ = await startEtcd();
    await open_.ctl('put', 'access/config', 'for all');
    await using provider = await open({ ...as('owner'), address: open_.url });
    assert.equal((await first(provider)).text, 'for all');
  });
});

describe('etcd by TLS', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  let files: Certificates;
  before(async () => {
    etcd = await startEtcd({ tls: true });
    files = etcd.certificates as Certificates;
    await etcd.ctl('put', 'tls', 'in secret');
  });
  after(() => etcd[Symbol.asyncDispose]());

  const by = (tls: object, address = etcd.url) => ({ address, key: 'tls', tls });
  const mine = () => ({ ca: files.ca, cert: files.cert, key: files.key });

  test('both sides show a certificate', async () => {
    await using provider = await open(by(mine()));
    assert.equal((await first(provider)).text, 'in secret');
  });

  test('without a scheme, "tls" makes it https', async () => {
    await using provider = await open(by(mine(), `127.0.0.1:${etcd.port}`));
    assert.equal((await first(provider)).text, 'in secret');
  });

  test('another name in the certificate is refused, or given', async () => {
    const address = `https://localhost:${etcd.port}`;
    assert.match(
      await refusal(by(mine(), address)),
      /certificate is for another name, which "tls.server_name" can say/,
    );
    await using provider = await open(by({ ...mine(), server_name: 'etcd.test' }, address));
    assert.equal((await first(provider)).text, 'in secret');
  });

  test('an authority that has not signed the server says so', async () => {
    assert.match(
      await refusal(by({ ...mine(), ca: files.otherCa })),
      /^store_unreachable: etcd at https:.* its certificate is not signed by an authority in "tls.ca"/,
    );
    assert.match(await refusal(by({ cert: files.cert, key: files.key })), /not signed by an authority/);
  });

  test('a server that asks for a certificate says so', async () => {
    assert.match(await refusal(by({ ca: files.ca })), /^store_unreachable: .*asks for another client certificate/);
  });

  test('http where TLS is spoken, and TLS where it is not', async () => {
    assert.match(await refusal({ address: etcd.url.replace('https', 'http'), key: 'tls' }), /^store_unreachable: /);
    await using plain = await startEtcd();
    assert.match(await refusal(by(mine(), plain.url.replace('http', 'https'))), /instead of speaking TLS/);
  });

  test('a file that is not there, or is no certificate, is named', async () => {
    assert.match(
      await refusal(by({ ...mine(), ca: '/nowhere/ca.crt' })),
      /^config_unreadable: The file \/nowhere\/ca\.crt that "tls\.ca" names .*ENOENT/,
    );
    const path = join(etcd.folder, 'no-certificate');
    await writeFile(path, 'nothing of the kind');
    assert.match(
      await refusal(by({ ...mine(), cert: path })),
      /^config_unreadable: The files that "tls" names for etcd .*no-certificate/,
    );
    await rm(path);
  });
});

describe('what is not etcd, and options that make no sense', () => {
  const listening = async (server: ReturnType<typeof createTcpServer>) => {
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  test('nobody there', async () => {
    const port = await freePort();
    assert.match(
      await refusal({ address: `127.0.0.1:${port}`, key: 'k' }),
      new RegExp(`^store_unreachable: etcd at http://127.0.0.1:${port} does not answer: .*ECONNREFUSED`),
    );
  });

  test('every address is tried, and each is named', async () => {
    const ports = [await freePort(), await freePort()];
    const said = await refusal({ endpoints: ports.map((port) => `127.0.0.1:${port}`), key: 'k' });
    for (const port of ports) assert.match(said, new RegExp(`http://127.0.0.1:${port} does not answer`));
  });

  test('a web server', async () => {
    const server = createServer((_, response) => response.end('hello'));
    try {
      assert.match(await refusal({ address: await listening(server), key: 'k' }), /^store_unreachable: /);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test('a port that takes connections and says nothing', async () => {
    const sockets: { destroy(): void }[] = [];
    const server = createTcpServer((socket) => void sockets.push(socket));
    try {
      const started = performance.now();
      const address = await listening(server);
      assert.match(await refusal({ address, key: 'k', timeout: '500ms' }), /does not answer: no answer within 500 ms/);
      assert.ok(performance.now() - started < 10_000);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ key: '/' }, /is no key/],
    [{ key: 'k', address: 'a:1', endpoints: ['b:1'] }, /are the same. Give one/],
    [{ key: 'k', address: 'ftp://a' }, /"ftp:\/\/a" is no address of etcd/],
    [{ key: 'k', address: 'http://a/path' }, /is no address of etcd/],
    [{ key: 'k', address: ' , ' }, /names no server/],
    [{ key: 'k', address: 'http://a:1,https://b:1' }, /all begin with "https:\/\/", or none/],
    [{ key: 'k', address: 'http://a:1', tls: {} }, /Write "https:\/\/"/],
    [{ key: 'k', user: 'a' }, /"user" and "password" together/],
    [{ key: 'k', tls: { cert: 'a' } }, /"tls.cert" and "tls.key" together/],
    [{ key: 'k', relist: '2m' }, /"relist" of the etcd provider is 2m/],
    [{ key: 'k', keepalive: '1m' }, /"keepalive"/],
    [{ key: 'k', timeout: '0' }, /"timeout"/],
    [{}, /key/],
    [{ key: 'k', token: 'x' }, /additional/],
  ];
  for (const [options, says] of wrong)
    test(`${JSON.stringify(options)} is refused`, async () => {
      await assert.rejects(open(options), says);
    });
});
