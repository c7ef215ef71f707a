import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { closeServer } from './close-server.ts';

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

/** What an endpoint may do instead of answering with its keys; `text` is what it should have sent. */
const troubles = {
  error: (response, text) => void response.writeHead(500).end(text),
  missing: (response, text) => void response.writeHead(404).end(text),
  hang: () => undefined,
  'hang after its headers': (response, text) => void response.writeHead(200).write(text.slice(0, 20)),
  'break off': (response, text) =>
    response.writeHead(200, { 'content-length': text.length }).write(text.slice(0, 20), () => response.destroy()),
  garbage: (response) => void response.end('<html>'),
  truncated: (response, text) => void response.end(text.slice(0, -3)),
  nothing: (response) => void response.end(''),
  null: (response) => void response.end('null'),
  'no list': (response) => void response.end('{"keys":{"0":{}}}'),
  'a list of strings': (response) => void response.end('{"keys":["key"]}'),
  // To where the very keys are.
  redirect: (response, _, url) => void response.writeHead(302, { location: `${url}?again` }).end(),
  huge: (response, text) => void response.end(`${text.slice(0, -1)},"more":"${'x'.repeat(10 * 1024 ** 2)}"}`),
  'a small answer that unpacks to a huge one': (response, text) =>
    void response
      .writeHead(200, { 'content-encoding': 'gzip' })
      .end(gzipSync(`${text.slice(0, -1)},"more":"${'x'.repeat(10 * 1024 ** 2)}"}`)),
} satisfies Record<string, (response: ServerResponse, text: string, url: string) => unknown>;

export type Trouble = keyof typeof troubles;
export const allTroubles = Object.keys(troubles) as readonly Trouble[];

/** An identity provider of one's own: a JWKS endpoint over HTTP, and tokens that its keys have signed. */
export class IdentityProvider implements AsyncDisposable {
  readonly issuer = 'https://id.example.com/';
  readonly audience = 'hector';
  /** How often the keys were fetched. */
  fetches = 0;
  trouble: Trouble | undefined;
  /** What is published instead of the keys. */
  published: ((keys: readonly JWK[]) => readonly object[]) | undefined;
  readonly #keys = new Map<string, Pair & { alg: string }>();
  #server: Server | undefined;
  #port = 0;

  /** With one key, named `first`. */
  static async start(alg = 'ES256'): Promise<IdentityProvider> {
    const provider = new IdentityProvider();
    await provider.rotate('first', { alg });
    await provider.listen();
    return provider;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/jwks.json`;
  }

  /** One more key, or another instead of those there are. */
  async rotate(kid: string, { alg = 'ES256', replace = false } = {}): Promise<void> {
    if (replace) this.#keys.clear();
    this.#keys.set(kid, { ...(await generateKeyPair(alg, { extractable: true })), alg });
  }

  /** On the port that it had before. */
  async listen(): Promise<void> {
    const server = createServer(async (request, response) => {
      this.fetches++;
      const text = JSON.stringify(await this.keySet());
      if (this.trouble === undefined || request.url?.endsWith('?again')) response.end(text);
      else troubles[this.trouble](response, text, this.url);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    await closeServer(server);
  }

  async keySet(): Promise<{ readonly keys: readonly object[] }> {
    const keys = [...this.#keys].map(async ([kid, { publicKey, alg }]) => ({
      ...(await exportJWK(publicKey)),
      kid,
      alg,
      use: 'sig',
    }));
    const all = await Promise.all(keys);
    return { keys: this.published?.(all) ?? all };
  }

  async jwk(kid = 'first'): Promise<JWK> {
    return exportJWK(this.#key(kid).publicKey);
  }

  async publicKeyText(kid = 'first'): Promise<string> {
    return exportSPKI(this.#key(kid).publicKey);
  }

  /** A good token, except for what is said here. A claim of `undefined` is left out. */
  async token(
    claims: JWTPayload = {},
    { kid = 'first', as = kid, header = {} }: { kid?: string; as?: string; header?: object } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.issuer, aud: this.audience, sub: 'ada', iat: now, exp: now + 300, ...claims };
    const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const { privateKey, alg } = this.#key(kid);
    return new SignJWT(payload).setProtectedHeader({ alg, kid: as, ...header } as JWTHeaderParameters).sign(privateKey);
  }

  #key(kid: string) {
    const key = this.#keys.get(kid);
    if (!key) throw new Error(`no key is named ${kid}`);
    return key;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
