import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deployFile } from '../support/deploy-file.ts';
import { makeCertificates } from './certificates.ts';
import { proxyHost, type ReverseProxy, replaceEach, tlsAnswers } from './reverse-proxy.ts';
import { findProgram, foundOrInstalled, freePort, serviceFolder, startService } from './service.ts';

/** A real Caddy: CADDY_BIN names a program of one's own. */
const find = () => findProgram(...[process.env['CADDY_BIN'] ?? []].flat(), 'caddy');

const found = await foundOrInstalled(find, 'caddy');

export const caddyMissing = found
  ? false
  : 'caddy is not installed: apt-get install caddy, set CADDY_BIN, or HECTOR_TEST_INSTALL';

export const caddyProgram = (): string => found as string;

export interface CaddyOptions {
  /** `host:port` of the Hectors. */
  readonly upstreams: readonly string[];
  readonly change?: (configuration: string) => string;
}

/** deploy/caddy/Caddyfile, but for its host, its ports, its certificate, its log and where the Hectors are. */
export async function startCaddy({ upstreams, change = (text) => text }: CaddyOptions): Promise<ReverseProxy> {
  const folder = await serviceFolder('caddy');
  const [http, https, admin] = [await freePort(), await freePort(), await freePort()];
  const { ca } = await makeCertificates(folder, proxyHost);
  const own = `\thttp_port ${http}\n\thttps_port ${https}\n\tadmin localhost:${admin}\n\tskip_install_trust\n`;
  const text = replaceEach(await readFile(deployFile('caddy/Caddyfile'), 'utf8'), [
    ['# docs/deployment-proxy.md says why each line is here.\n{\n', `{\n${own}`],
    [
      '\nagents.yourdomain.com {\n',
      `\n${proxyHost} {\n\ttls ${join(folder, 'server.crt')} ${join(folder, 'server.key')}\n`,
    ],
    ['/var/log/caddy/hector.log', join(folder, 'hector.log')],
    ['reverse_proxy 127.0.0.1:8080 {', `reverse_proxy ${upstreams.join(' ')} {`],
  ]);
  const path = join(folder, 'Caddyfile');
  await writeFile(path, change(text));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const service = await startService({
    name: 'caddy',
    port: https,
    folder,
    command: () => ({ program: caddyProgram(), args: ['run', '--config', path, '--adapter', 'caddyfile'], env }),
    ready: () => tlsAnswers(https),
  });
  return {
    ...service,
    name: 'caddy',
    origin: `https://${proxyHost}:${https}`,
    httpPort: http,
    ca: await readFile(ca),
  };
}
