import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ConfigDocument, type ConfigProvider, errorCode, errorMessage } from '../../core/index.ts';
import type { Certificates } from '../services/certificates.ts';
import { type Consul, consulMissing, startConsul } from '../services/consul.ts';
import { freePort } from '../services/service.ts';
import { Following } from '../support/following.ts';
import { until } from '../support/until.ts';
import { openConsul } from './consul-opened.ts';

const signal = () => AbortSignal.timeout(30_000);

async function first(provider: ConfigProvider): Promise<ConfigDocument> {
  for await (const document of provider.watch(signal())) return document;
  throw new Error('The watch has ended');
}

const told = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => `${errorCode(error)}: ${errorMessage(error)}`,
  );

async function refusal(options: object): Promise<string> {
  await using provider = await openConsul(options);
  return await told(first(provider));
}

describe('who may read and write Consul', { skip: consulMissing }, () => {
  let consul: Consul;
  let owner = '';
  let reader = '';
  const key = 'access/config';
  const at = (options: object) => ({ address: consul.address, key, ...options });
  before(async () => {
    consul = await startConsul({ acl: true });
    await consul.put(key, 'for those who may');
    owner = await consul.token(`
      key "${key}" { policy = "write" }
      key_prefix "${key}.annex/" { policy = "write" }
      session_prefix "" { policy = "write" }`);
    reader = await consul.token(`key "${key}" { policy = "read" }`);
  });
  after(() => consul[Symbol.asyncDispose]());

  test('a token with the policy of the documentation does all there is to do', async () => {
    await using provider = await openConsul(at({ token: owner }));
    const { text, revision } = await first(provider);
    assert.equal(text, 'for those who may');
    const next = await provider.write({ text: 'written' }, revision, signal());
    await provider.write({ text: 'for those who may' }, next, signal());
    await provider.annex.write('history/1', 'old', signal());
    assert.deepEqual(await provider.annex.list('history', signal()), ['1']);
    await provider.annex.remove('history', signal());
    const announcement = provider.annex.announce?.('replicas/one', 'here');
    await until(async () => (await provider.annex.read('replicas/one', signal())) === 'here');
    await announcement?.[Symbol.asyncDispose]();
    assert.equal(await provider.annex.read('replicas/one', signal()), undefined);
  });

  test('without a token it says which policy is needed', async () => {
    assert.match(
      await refusal(at({})),
      /^forbidden: Consul at http:.* does not permit it without a token\. Set "token" or "token_file" to one that has a policy with key "access\/config" \{ policy = "read" \} \(.*\)\.$/,
    );
  });

  test('a prefix that may not be read does not look like an empty one', async () => {
    await consul.put('access/all/agents/writer', 'name: Writer');
    await consul.put('access/all/llms/fast', 'n: 1');
    const half = await consul.token('key_prefix "access/all/agents/" { policy = "read" }');
    for (const token of [{}, { token: reader }, { token: half }])
      assert.match(
        await refusal(at({ key: 'access/all/', ...token })),
        /^forbidden: .*key_prefix "access\/all\/" \{ policy = "read" \}/,
      );
    await using provider = await openConsul(at({ token: reader }));
    assert.match(await told(provider.annex.list('history', signal())), /^forbidden: /);
  });

  test('a token that does not exist says so, and is not in the message', async () => {
    const token = '00000000-dead-4000-8000-000000000001';
    const said = await refusal(at({ token }));
    assert.match(said, /^forbidden: .* It does not know the token/);
    assert.doesNotMatch(said, /dead/);
  });

  test('a token that may only read is told so when it writes', async () => {
    await using provider = await openConsul(at({ token: reader }));
    const { revision } = await first(provider);
    const writes = [
      () => provider.write({ text: 'mine' }, revision, signal()),
      () => provider.annex.write('history/1', 'old', signal()),
      () => provider.annex.remove('history', signal()),
    ];
    for (const write of writes)
      assert.match(
        await told(write()),
        /^forbidden: .*policy with key(_prefix)? "access\/config.* \{ policy = "write" \}/,
      );
    assert.equal((await first(provider)).revision, revision);
  });

  test('a token file is read again: the next token is used as soon as it is there', async () => {
    const path = join(consul.folder, 'token');
    const old = await consul.token(`key "${key}" { policy = "write" }`);
    await writeFile(path, `${old}\n`);
    await using following = new Following(
      await openConsul(at({ token_file: path, token: 'not this one', wait: '1s' })),
    );
    await until(() => following.text === 'for those who may');
    await writeFile(path, owner);
    const self = JSON.parse((await consul.api('GET', 'acl/tokens')).toString()) as {
      AccessorID: string;
      SecretID: string;
    }[];
    const accessor = self.find(({ SecretID }) => SecretID === old)?.AccessorID;
    await consul.api('DELETE', `acl/token/${accessor}`);
    const { provider, documents } = following;
    const revision = documents.at(-1)?.revision;
    const next = await provider.write({ text: 'by the new token' }, revision, signal());
    await until(() => following.text === 'by the new token');
    await provider.write({ text: 'for those who may' }, next, signal());
  });

  test('a token file that is missing or empty is named', async () => {
    const path = join(consul.folder, 'no-token');
    assert.match(await refusal(at({ token_file: path })), new RegExp(`^unreadable: .*${path}.*ENOENT`));
    await writeFile(path, '\n');
    assert.match(await refusal(at({ token_file: path })), new RegExp(`^unreadable: .*${path} .* empty`));
  });
});

describe('Consul by TLS', { skip: consulMissing }, () => {
  let consul: Consul;
  let files: Certificates;
  let url = '';
  before(async () => {
    consul = await startConsul({ tls: true });
    assert.ok(consul.secure);
    ({ url, certificates: files } = consul.secure);
    await consul.put('tls', 'in secret');
  });
  after(() => consul[Symbol.asyncDispose]());

  const by = (tls: object, address = url) => ({ address, key: 'tls', tls });
  const mine = () => ({ ca: files.ca, cert: files.cert, key: files.key });
  const reads = async (options: object) => {
    await using provider = await openConsul(options);
    assert.equal((await first(provider)).text, 'in secret');
  };

  test('both sides show a certificate', () => reads(by(mine())));

  test('"tls", or the scheme, makes it https', async () => {
    const address = url.replace('https://', '');
    await reads(by(mine(), address));
    await reads({ ...by(mine(), address), scheme: 'https' });
  });

  test('another name in the certificate is refused, or given', async () => {
    const address = url.replace('127.0.0.1', 'localhost');
    assert.match(await refusal(by(mine(), address)), /its certificate is for another name. Set "tls.server_name"/);
    await reads(by({ ...mine(), server_name: 'consul.test' }, address));
  });

  test('an authority that has not signed the agent says so', async () => {
    const says =
      /^store_unreachable: Consul at https:.* its certificate is not signed by an authority that Hector knows/;
    assert.match(await refusal(by({ ...mine(), ca: files.otherCa })), says);
    assert.match(await refusal(by({ cert: files.cert, key: files.key })), says);
  });

  test('an agent that asks for a certificate says so', async () => {
    assert.match(await refusal(by({ ca: files.ca })), /^store_unreachable: .*does not accept the client certificate/);
  });

  test('http where TLS is spoken, and TLS where it is not', async () => {
    assert.match(await refusal({ address: url.replace('https', 'http'), key: 'tls' }), /^store_error: .*HTTPS server/);
    assert.match(await refusal(by(mine(), `https://${consul.address}`)), /does not speak TLS/);
  });

  test('a file that is not there is named', async () => {
    assert.match(
      await refusal(by({ ...mine(), ca: '/nowhere/ca.crt' })),
      /^unreadable: The tls\.ca \/nowhere\/ca\.crt .*ENOENT/,
    );
  });
});

describe('what an agent refuses', { skip: consulMissing }, () => {
  let consul: Consul;
  before(async () => {
    consul = await startConsul();
    await consul.put('k', 'n: 1');
  });
  after(() => consul[Symbol.asyncDispose]());

  test('a datacenter that it does not know', async () => {
    assert.match(
      await refusal({ address: consul.address, key: 'k', datacenter: 'mars' }),
      /^invalid_options: Consul at http:.* knows no datacenter "mars"/,
    );
  });

  test('a namespace and a partition, where it is not Consul Enterprise', async () => {
    for (const option of ['namespace', 'partition'])
      assert.match(
        await refusal({ address: consul.address, key: 'k', [option]: 'team' }),
        /^store_error: .*Enterprise/,
      );
  });

  test('a text that is too large for a value', async () => {
    await using provider = await openConsul({ address: consul.address, key: 'k' });
    const said = await told(provider.annex.write('history/1', 'x'.repeat(600 * 1024), signal()));
    assert.match(said, /^too_large: /);
    // What others have put there may be larger than what a transaction takes.
    const large = 'x'.repeat(512 * 1024);
    await consul.put('k', large);
    assert.equal((await first(provider)).text, large);
  });

  test('a transaction is as large as is promised', async () => {
    const key = 'size/all/';
    await using provider = await openConsul({ address: consul.address, key });
    const text = '"'.repeat(368 * 1024 - 1_000);
    const revision = await provider.write({ text: '', entries: new Map([['server', text]]) }, undefined, signal());
    const many = Array.from({ length: 63 }, (_, n) => [`agents/${'a'.repeat(100)}-${n}`, '"'.repeat(5_700)] as const);
    const next = await provider.write({ text: '', entries: new Map(many) }, revision, signal());
    const document = await first(provider);
    assert.deepEqual([document.revision, document.entries?.size], [next, 63]);
  });
});

describe('what is not Consul, and options that make no sense', () => {
  test('nobody there', async () => {
    const port = await freePort();
    assert.match(
      await refusal({ address: `127.0.0.1:${port}`, key: 'k' }),
      new RegExp(`^store_unreachable: Consul at http://127.0.0.1:${port} does not answer: .*ECONNREFUSED`),
    );
  });

  test('a port that takes connections and says nothing', async () => {
    const sockets: Socket[] = [];
    const server = createTcpServer((socket) => void sockets.push(socket));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    try {
      const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      assert.match(await refusal({ address, key: 'k', timeout: '500ms' }), /does not answer: no answer within 500 ms/);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ key: '/' }, /is no key/],
    [{ key: '/k' }, /is no key/],
    [{ key: 'a//k' }, /is no key/],
    [{ key: 'a/../k' }, /is no key/],
    [{ key: 'k', address: 'unix:///run/consul.sock' }, /is no address of Consul/],
    [{ key: 'k', address: 'http://a:1', scheme: 'https' }, /the scheme "https" and an address that begins with "http/],
    [{ key: 'k', address: 'http://a:1', tls: {} }, /Write "https:\/\/" or/],
    [{ key: 'k', tls: { cert: 'a' } }, /"tls.cert" and "tls.key" together/],
    [{ key: 'k', wait: '11m' }, /"wait" of the consul provider is 11m/],
    [{ key: 'k', timeout: '0s' }, /"timeout"/],
    [{}, /key/],
    [{ key: 'k', tokens: 'x' }, /additional/],
  ];
  for (const [options, says] of wrong)
    test(`${JSON.stringify(options)} is refused`, async () => {
      await assert.rejects(openConsul(options), says);
    });
});
