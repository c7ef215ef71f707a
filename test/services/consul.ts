import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { go, goProgram } from './go-program.ts';
import { freePort, type Service, serviceFolder, startService } from './service.ts';

/**
 * The newest release under an open licence that builds from the module proxy: those after it want versions of its own
 * modules that the proxy does not have. It was released with this version of its API, and without a tag that says so.
 * CONSUL_BIN names a program of one's own.
 */
const found = await goProgram({
  name: 'consul',
  version: '1.15.4',
  module: 'github.com/hashicorp/consul',
  main: 'github.com/hashicorp/consul',
  also: ['github.com/hashicorp/consul/api@v1.21.1'],
  elsewhere: [...[process.env['CONSUL_BIN'] ?? []].flat(), 'consul'],
});

/** Also its command line tool. */
export const consulProgram = (): string => found as string;

/** What is missing, for `skip`; nothing where Consul is there. */
export const consulMissing = found
  ? false
  : go
    ? 'consul is not installed: set CONSUL_BIN, or HECTOR_TEST_INSTALL to have it built (some minutes)'
    : 'consul is not installed, nor Go to build it with: set CONSUL_BIN';

export interface Consul extends Service {
  /** `127.0.0.1:<port>`, plain HTTP. */
  readonly address: string;
  /** By TLS, to those who show the certificate. It is for 127.0.0.1 and for `consul.test`. */
  readonly secure: { readonly url: string; readonly certificates: Certificates } | undefined;
  /** With `acl`: it may do everything. */
  readonly rootToken: string | undefined;
  /** As another client would. `undefined` removes it. */
  put(key: string, value: string | Buffer | undefined): Promise<void>;
  get(key: string): Promise<string | undefined>;
  /** The HTTP API, with the root token: `PUT`, `session/destroy/…`. */
  api(method: string, path: string, body?: string | Buffer): Promise<Buffer>;
  /** A token that has these rules and no others. */
  token(rules: string): Promise<string>;
}

export interface ConsulOptions {
  readonly tls?: boolean;
  /** Who has no token may do nothing. */
  readonly acl?: boolean;
}

/** A server of its own, alone in its cluster. What is in it survives a restart. */
export async function startConsul({ tls = false, acl = false }: ConsulOptions = {}): Promise<Consul> {
  const program = found;
  if (!program) throw new Error(String(consulMissing));
  const folder = await serviceFolder('consul');
  const [port, https, server, serf] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const certificates = tls ? await makeCertificates(folder, 'consul.test') : undefined;
  const rootToken = acl ? 'c0ffee00-0000-4000-8000-000000000000' : undefined;
  const configuration = {
    server: true,
    bootstrap_expect: 1,
    node_name: 'test',
    data_dir: join(folder, 'data'),
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    ports: {
      http: port,
      https: tls ? https : -1,
      server,
      serf_lan: serf,
      serf_wan: -1,
      dns: -1,
      grpc: -1,
      grpc_tls: -1,
    },
    performance: { raft_multiplier: 1 },
    disable_update_check: true,
    log_level: 'warn',
    connect: { enabled: false },
    ui_config: { enabled: false },
    limits: { http_max_conns_per_client: 1_000 },
    ...(rootToken ? { acl: { enabled: true, default_policy: 'deny', tokens: { initial_management: rootToken } } } : {}),
    ...(certificates
      ? {
          tls: {
            https: {
              ca_file: certificates.ca,
              cert_file: join(folder, 'server.crt'),
              key_file: join(folder, 'server.key'),
              verify_incoming: true,
            },
          },
        }
      : {}),
  };
  await writeFile(join(folder, 'consul.json'), JSON.stringify(configuration));

  const headers = rootToken ? { 'x-consul-token': rootToken } : undefined;
  const ask = (method: string, path: string, body?: string | Buffer) =>
    fetch(`http://127.0.0.1:${port}/v1/${path}`, {
      method,
      ...(headers ? { headers } : {}),
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    });
  const api = async (method: string, path: string, body?: string | Buffer) => {
    const answer = await ask(method, path, body);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${bytes.toString()}`);
    return bytes;
  };
  const kv = (key: string) => `kv/${encodeURIComponent(key)}`;
  const service = await startService({
    name: 'consul',
    port,
    folder,
    command: () => ({ program, args: ['agent', '-config-file', join(folder, 'consul.json')] }),
    // The port opens long before there is a leader, and the leader knows its tokens later still.
    ready: async () => (await ask('PUT', kv('ready'), 'yes').catch(() => undefined))?.ok === true,
  });
  return {
    ...service,
    address: `127.0.0.1:${port}`,
    secure: certificates ? { url: `https://127.0.0.1:${https}`, certificates } : undefined,
    rootToken,
    api,
    async put(key, value) {
      if (value === undefined) await api('DELETE', kv(key));
      else await api('PUT', kv(key), value);
    },
    async get(key) {
      const answer = await ask('GET', `${kv(key)}?raw`);
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`GET ${key}: ${answer.status} ${await answer.text()}`);
      return await answer.text();
    },
    async token(rules) {
      const Name = `policy-${Math.random().toString(36).slice(2)}`;
      await api('PUT', 'acl/policy', JSON.stringify({ Name, Rules: rules }));
      const made = (await api('PUT', 'acl/token', JSON.stringify({ Policies: [{ Name }] }))).toString();
      return (JSON.parse(made) as { SecretID: string }).SecretID;
    },
  };
}
