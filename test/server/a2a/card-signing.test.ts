import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { type AgentCard, verifyAgentCardSignature } from '@a2a-js/sdk';
import { loadSnapshot } from '../../../core/config/load.ts';
import { builtins } from '../../../plugins/builtin.ts';
import { tryOut } from '../../../server/build.ts';
import { startHector } from '../../../server/hector.ts';
import { rest } from '../../support/a2a-bindings.ts';

type Signed = AgentCard & { readonly signatures: readonly { readonly protected: string }[] };

const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const keys: Readonly<Record<string, KeyObject>> = {
  ES256: p256.privateKey,
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  EdDSA: generateKeyPairSync('ed25519').privateKey,
};

interface Signing {
  readonly key: string;
  readonly algorithm?: string;
  readonly key_id?: string;
  readonly key_url?: string;
}

function snapshot(signing: Signing | undefined, { publicUrl = 'https://agents.example.com' as string | null } = {}) {
  const document = {
    server: {
      port: 0,
      host: '127.0.0.1',
      ...(publicUrl !== null && { public_url: publicUrl }),
      ...(signing && { card_signing: { key_id: 'k1', ...signing } }),
      auth: {
        enabled: true,
        require_auth: false,
        schemes: [{ type: 'api-key', keys: [{ key: 'secret', subject: 'a' }] }],
      },
    },
    llms: { echo: { provider: 'echo' } },
    agents: {
      writer: { llm: 'echo', extended_card: { description: 'More' } },
      editor: { llm: 'echo' },
    },
  };
  const environment = { get: () => undefined, files: new Map<string, string>() };
  const options = { builtins, environment } as Parameters<typeof loadSnapshot>[1];
  return loadSnapshot({ text: JSON.stringify(document), source: 'test.json', revision: '1' }, options);
}

const verifier = (key: KeyObject) =>
  verifyAgentCardSignature(async (kid) => {
    assert.equal(kid, 'k1');
    return createPublicKey(key);
  });

const headerOf = (card: Signed) =>
  JSON.parse(Buffer.from(card.signatures[0]?.protected ?? '', 'base64url').toString()) as Record<string, unknown>;

for (const [algorithm, key] of Object.entries(keys)) {
  for (const [form, text] of [
    ['PEM', pem(key)],
    ['PEM in one line', pem(key).replaceAll('\n', '\\n')],
    ['JWK', JSON.stringify(key.export({ format: 'jwk' }))],
  ] as const) {
    test(`cards are signed with ${algorithm} and a key as ${form}`, async () => {
      const signing = { key: text, algorithm, key_url: 'https://agents.example.com/jwks.json' };
      await using hector = await startHector({ serve: { snapshot: await snapshot(signing) } });
      const { body: card } = await rest<Signed>(`${hector.url}/agents/writer`);
      await verifier(key)(card);
      const { alg, kid, typ, jku } = headerOf(card);
      assert.deepEqual([alg, kid, typ, jku], [algorithm, 'k1', 'JOSE', 'https://agents.example.com/jwks.json']);
    });
  }
}

test('every card is signed, and stays the same from one request to the next', async () => {
  await using hector = await startHector({ serve: { snapshot: await snapshot({ key: pem(p256.privateKey) }) } });
  const verify = verifier(p256.privateKey);
  const wellKnown = '/.well-known/agent-card.json';
  for (const path of ['/agents/writer', '/agents/editor', wellKnown, `/agents/editor${wellKnown}`]) {
    const all = await Promise.all([1, 2, 3].map(() => rest<Signed>(hector.url + path)));
    assert.equal(new Set(all.map(({ text }) => text)).size, 1, path);
    assert.equal(new Set(all.map(({ headers }) => headers.get('etag'))).size, 1, path);
    await verify(all[0]?.body as Signed);
  }
  const list = await rest<{ agents: Signed[] }>(`${hector.url}/agents`);
  assert.equal(list.body.agents.length, 2);
  for (const card of list.body.agents) await verify(card);
  const headers = { 'X-API-Key': 'secret' };
  const extended = await rest<Signed>(`${hector.url}/agents/writer/extendedAgentCard`, { headers });
  assert.equal(extended.body.description, 'More', extended.text);
  await verify(extended.body);
});

test('whatever of a card is changed, it is not the card that was signed', async () => {
  await using hector = await startHector({ serve: { snapshot: await snapshot({ key: pem(p256.privateKey) }) } });
  const { body: card } = await rest<Signed & Record<string, unknown>>(`${hector.url}/agents/writer`);
  const changes: readonly object[] = [
    { name: 'Another' },
    { supportedInterfaces: card.supportedInterfaces.map((each) => ({ ...each, url: 'https://evil.example' })) },
    { skills: [] },
    { securitySchemes: {} },
    { capabilities: { ...card.capabilities, streaming: false } },
  ];
  for (const change of changes) {
    await assert.rejects(
      verifier(p256.privateKey)({ ...card, ...change }),
      /No valid signatures/,
      JSON.stringify(change),
    );
  }
  const another = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  await assert.rejects(verifier(another)(card), /No valid signatures/);
});

test('a key is changed by a reload, and without one cards are not signed', async () => {
  await using hector = await startHector({ serve: { snapshot: await snapshot(undefined) } });
  const card = async () => (await rest<Signed>(`${hector.url}/agents/writer`)).body;
  assert.equal((await card()).signatures, undefined);
  for (const algorithm of ['ES256', 'EdDSA']) {
    const key = keys[algorithm] as KeyObject;
    await hector.reload(await snapshot({ key: pem(key), algorithm }));
    await verifier(key)(await card());
  }
  await assert.rejects(hector.reload(await snapshot({ key: 'nonsense' })), /card_signing\.key: is not a private key/);
  await verifier(keys['EdDSA'] as KeyObject)(await card());
});

const bad: readonly [what: string, signing: Signing, says: RegExp][] = [
  ['no key', { key: 'hunter2' }, /card_signing\.key: is not a private key in PEM \(PKCS #8\) or as a JWK/],
  ['a JWK that is none', { key: '{"kty": "hunter2"}' }, /is not a private key/],
  ['no JSON', { key: '{hunter2' }, /is not a private key/],
  ['a public key', { key: p256.publicKey.export({ type: 'spki', format: 'pem' }) as string }, /is not a private key/],
  [
    'the key of another algorithm',
    { key: pem(p256.privateKey), algorithm: 'EdDSA' },
    /type ec \(prime256v1\), but EdDSA/,
  ],
  ['a key on another curve', { key: pem(p256.privateKey), algorithm: 'ES512' }, /but ES512 needs ec \(secp521r1\)/],
  [
    'a short RSA key',
    { key: pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey), algorithm: 'RS256' },
    /is an RSA key of 1024 bits; 2048 is the least/,
  ],
];

for (const [what, signing, says] of bad) {
  test(`${what} is an error of the configuration, which does not quote it`, async () => {
    await assert.rejects(tryOut(await snapshot(signing)), (error: Error) => {
      assert.equal((error as { code?: string }).code, 'config');
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /hunter2|BEGIN/);
      return true;
    });
  });
}

test('a server that signs says where it is: else anybody says it for it', async () => {
  const open = await snapshot({ key: pem(p256.privateKey) }, { publicUrl: null });
  await assert.rejects(tryOut(open), /card_signing: needs server\.public_url/);
});
