import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

/** An identity provider of one's own: a JWKS endpoint over HTTP, and tokens that its keys have signed. */
export class IdentityProvider implements AsyncDisposable {
  readonly issuer = 'https://id.example.com/';
  readonly audience = 'hector';
  /** How often the keys were fetched. */
  fetches = 0;
  /** What the endpoint does instead of answering with its keys. */
  trouble: 'error' | 'hang' | 'garbage' | 'redirect' | 'huge' | undefined;
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
    const server = createServer(async (_, response) => {
      this.fetches++;
      if (this.trouble === 'hang') return;
      if (this.trouble === 'error') response.writeHead(500).end();
      else if (this.trouble === 'redirect') response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
      else if (this.trouble === 'garbage') response.end('<html>');
      else if (this.trouble === 'huge') response.end(`{"keys":[],"more":"${'x'.repeat(2 * 1024 ** 2)}"}`);
      else response.end(JSON.stringify(await this.keySet()));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async keySet() {
    const keys = [...this.#keys].map(async ([kid, { publicKey, alg }]) => ({
      ...(await exportJWK(publicKey)),
      kid,
      alg,
      use: 'sig',
    }));
    return { keys: await Promise.all(keys) };
  }

  async publicKeyText(kid = 'first'): Promise<string> {
    return exportSPKI(this.#key(kid).publicKey);
  }

  /** A good token, except for what is said here. A claim of `undefined` is left out. */
  async token(
    claims: JWTPayload = {},
    { kid = 'first', as = kid }: { kid?: string; as?: string } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: this.issuer, aud: this.audience, sub: 'ada', iat: now, exp: now + 300, ...claims };
    const payload = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    const { privateKey, alg } = this.#key(kid);
    return new SignJWT(payload).setProtectedHeader({ alg, kid: as }).sign(privateKey);
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
