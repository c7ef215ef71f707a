import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deployFile } from '../support/deploy-file.ts';
import { until } from '../support/until.ts';
import { makeCertificates } from './certificates.ts';
import { proxyHost, type ReverseProxy, replaceEach, tlsAnswers } from './reverse-proxy.ts';
import { findProgram, foundOrInstalled, freePort, serviceFolder, startService } from './service.ts';

const run = promisify(execFile);

/** A real nginx: NGINX_BIN names a program of one's own. */
const find = () => findProgram(...[process.env['NGINX_BIN'] ?? []].flat(), 'nginx');

const found = await foundOrInstalled(find, 'nginx');

export const nginxMissing = found
  ? false
  : 'nginx is not installed: apt-get install nginx, set NGINX_BIN, or HECTOR_TEST_INSTALL';

export const nginxProgram = (): string => found as string;

const workers = 2;

/** What Debian's nginx.conf has around what is copied to conf.d: TLS 1.0 and compression are on there. */
const around = (folder: string) => `${process.getuid?.() === 0 ? 'user root;\n' : ''}worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log ${folder}/error.log notice;
events { worker_connections 768; }
http {
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  types { text/html html; application/json json; }
  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
  access_log off;
  gzip on;
  gzip_proxied any;
  gzip_types text/plain application/json text/event-stream;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include ${folder}/conf.d/*.conf;
}
`;

/** deploy/nginx/hector.conf, but for its host, its ports, its certificate, its log and where the Hectors are. */
async function configuration(folder: string, http: number, https: number, upstreams: readonly string[]) {
  const servers = upstreams.map((each) => `server ${each} max_fails=1 fail_timeout=5s;`).join('\n    ');
  return replaceEach(await readFile(deployFile('nginx/hector.conf'), 'utf8'), [
    ['/etc/letsencrypt/live/agents.yourdomain.com/fullchain.pem', join(folder, 'server.crt')],
    ['/etc/letsencrypt/live/agents.yourdomain.com/privkey.pem', join(folder, 'server.key')],
    ['agents.yourdomain.com', proxyHost],
    ['listen 80;', `listen 127.0.0.1:${http};`],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${https} ssl http2;`],
    ['listen [::]:80;', `listen [::1]:${http};`],
    ['listen [::]:443 ssl http2;', `listen [::1]:${https} ssl http2;`],
    ['https://$server_name$request_uri', `https://$server_name:${https}$request_uri`],
    ['/var/www/certbot', join(folder, 'certbot')],
    ['/var/log/nginx/hector.log', join(folder, 'hector.log')],
    ['server 127.0.0.1:8080 max_fails=1 fail_timeout=5s;', servers],
  ]);
}

export interface Nginx extends ReverseProxy {
  /** `nginx -t` of the folder as it is. Rejects with what it says. */
  check(): Promise<string>;
  /** As `systemctl reload nginx`: other Hectors from now on, without a word to those who are being served. */
  reload(upstreams?: readonly string[], change?: (configuration: string) => string): Promise<void>;
  /** Waits until nobody is served by what was before a reload. */
  settled(): Promise<void>;
  /** Its error log, in which it says what it does. */
  errors(): Promise<string>;
  /** The lines of its access log. */
  log(): Promise<readonly Record<string, unknown>[]>;
}

export interface NginxOptions {
  /** `host:port`, or more as a `server` line has it. */
  readonly upstreams: readonly string[];
  /** What a test breaks to see that it notices. */
  readonly change?: (configuration: string) => string;
}

export async function startNginx({ upstreams, change = (text) => text }: NginxOptions): Promise<Nginx> {
  const folder = await serviceFolder('nginx');
  const [http, https] = [await freePort(), await freePort()];
  const { ca } = await makeCertificates(folder, proxyHost);
  await mkdir(join(folder, 'conf.d'));
  await mkdir(join(folder, 'certbot/.well-known/acme-challenge'), { recursive: true });
  await writeFile(join(folder, 'nginx.conf'), around(folder));
  const write = async (to: readonly string[], changed: (configuration: string) => string) =>
    writeFile(join(folder, 'conf.d/hector.conf'), changed(await configuration(folder, http, https, to)));
  await write(upstreams, change);
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')];
  const service = await startService({
    name: 'nginx',
    port: https,
    folder,
    command: () => ({ program: nginxProgram(), args: [...args, '-g', 'daemon off;'] }),
    ready: () => tlsAnswers(https),
  });
  let reloads = 0;
  const errors = () => readFile(join(folder, 'error.log'), 'utf8');
  const check = async () => (await run(nginxProgram(), [...args, '-t'])).stderr;
  return {
    ...service,
    name: 'nginx',
    origin: `https://${proxyHost}:${https}`,
    httpPort: http,
    ca: await readFile(ca),
    check,
    async reload(to = upstreams, changed = change) {
      await write(to, changed);
      await check();
      await run(nginxProgram(), [...args, '-s', 'reload']);
      reloads++;
    },
    errors,
    async settled() {
      const gone = async () => (await errors()).match(/worker process \d+ exited with code 0/g)?.length ?? 0;
      await until(async () => (await gone()) === reloads * workers, 30_000);
    },
    async log() {
      const text = await readFile(join(folder, 'hector.log'), 'utf8');
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
    },
    // Its workers outlive a master that is killed.
    async [Symbol.asyncDispose]() {
      await run(nginxProgram(), [...args, '-s', 'stop']);
      await until(() => !existsSync(join(folder, 'nginx.pid')));
      await service[Symbol.asyncDispose]();
    },
  };
}
