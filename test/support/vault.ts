import type { Cleanup } from './llm.ts';
import { type ModelServer, modelServer } from './model-server.ts';

export interface VaultStandIn extends ModelServer {
  /** By path: `secret/data/llm`; a number is the status that it is refused with. */
  readonly secrets: Map<string, Readonly<Record<string, unknown>> | number | null>;
  token: string;
}

/** Speaks the part of Vault's HTTP API that KV version 2 is read by, errors included. Gone when the test is over. */
export async function vaultStandIn(
  t: Cleanup,
  secrets: Readonly<Record<string, Readonly<Record<string, unknown>> | number | null>>,
): Promise<VaultStandIn> {
  const vault = { secrets: new Map(Object.entries(secrets)), token: 'hvs.token-of-the-test' };
  const server = await modelServer(t, (response, { path, headers }) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(status === 307 && { location: 'http://127.0.0.1:1/' }),
      });
      response.end(JSON.stringify({ request_id: 'b9c4a3d0', ...body }));
    };
    const said = String(headers['x-vault-token']);
    if (said !== vault.token) return answer(403, { errors: [`permission denied: ${said}\n`] });
    const namespace = headers['x-vault-namespace'];
    const place = decodeURIComponent(path.replace('/v1/', ''));
    const secret = vault.secrets.get(namespace === undefined ? place : `${String(namespace)}:${place}`);
    if (typeof secret === 'number') return answer(secret, { errors: secret === 503 ? ['Vault is sealed'] : [] });
    if (secret === undefined) return answer(404, { errors: [] });
    if (secret === null)
      return answer(404, { data: { data: null, metadata: { deletion_time: '2026-01-01T00:00:00Z' } } });
    return answer(200, { data: { data: secret, metadata: { version: 3, destroyed: false } } });
  });
  return Object.assign(vault, {
    origin: server.origin,
    requests: server.requests,
    get connections() {
      return server.connections;
    },
    get open() {
      return server.open;
    },
    get underWay() {
      return server.underWay;
    },
  });
}
