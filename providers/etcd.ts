import { resolve } from 'node:path';
import {
  type ConfigProvider,
  configProvider,
  definePlugin,
  duration,
  HectorError,
  milliseconds,
  type Static,
  Type,
} from '../core/index.ts';
import { storeProvider } from './store-provider.ts';

const endpoints = (description: string) =>
  Type.Optional(
    Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
      description,
    }),
  );

const file = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const options = Type.Object(
  {
    address: endpoints('The members of the cluster, a list or separated by commas. Default: http://127.0.0.1:2379'),
    endpoints: endpoints('The same as "address"'),
    key: Type.String({
      minLength: 1,
      description: 'The key of the document; with a "/" at its end everything below it is the document',
    }),
    user: Type.Optional(Type.String({ minLength: 1, description: 'For a cluster with authentication' })),
    password: Type.Optional(Type.String({ description: 'Of the user' })),
    tls: Type.Optional(
      Type.Object(
        {
          ca: file('PEM file with the authorities that may sign the server; default: those that Node.js knows'),
          cert: file('PEM file with the certificate that Hector shows'),
          key: file('PEM file with the key of that certificate'),
          server_name: file('The name in the certificate of the server, if it is not the one in its address'),
        },
        { additionalProperties: false, description: 'For addresses that begin with https://' },
      ),
    ),
    relist: duration('60s', 'Everything is read again after so long, also when nothing seems to have changed'),
    keepalive: duration('10s', 'The server is asked so often whether it is still watching'),
    timeout: duration('5s', 'How long the server may take to answer'),
  },
  { additionalProperties: false },
);

const etcd = configProvider({
  name: 'etcd',
  description: 'A key or prefix in etcd (3.4 or newer)',
  options,
  async create(settings, { folder, logger }): Promise<ConfigProvider> {
    const relistMs = bounded('relist', settings.relist, 1_000, 60_000);
    const keepaliveMs = bounded('keepalive', settings.keepalive, 250, 20_000);
    const timeoutMs = bounded('timeout', settings.timeout, 250, 10_000);
    checkCredentials(settings);
    const { etcdStore } = await import('./etcd-store.ts');
    const store = etcdStore({
      endpoints: addresses(settings),
      user: settings.user,
      password: settings.password,
      tls: tlsFiles(settings.tls, folder),
      relistMs,
      keepaliveMs,
      timeoutMs,
      logger,
    });
    return storeProvider(store, { source: `etcd:${settings.key}`, key: settings.key, logger });
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/config-etcd', provides: [etcd] });

type Settings = Static<typeof options>;

const invalid = (message: string) => new HectorError('invalid_options', message);

/** Together they keep what is promised: a lost connection is known within half a minute, and a word comes every minute. */
function bounded(name: string, text: string, leastMs: number, mostMs: number): number {
  const ms = milliseconds(text);
  if (ms < leastMs || ms > mostMs)
    throw invalid(`"${name}" of the etcd provider is ${text}: it takes ${leastMs} ms to ${mostMs / 1_000} s.`);
  return ms;
}

function checkCredentials({ user, password, tls }: Settings): void {
  if ((user === undefined) !== (password === undefined))
    throw invalid('The etcd provider takes "user" and "password" together, or neither.');
  if ((tls?.cert === undefined) !== (tls?.key === undefined))
    throw invalid('The etcd provider takes "tls.cert" and "tls.key" together, or neither.');
}

function addresses({ address, endpoints: others, tls }: Settings): readonly string[] {
  if (address !== undefined && others !== undefined)
    throw invalid('"address" and "endpoints" of the etcd provider are the same. Give one of them.');
  const given = [address ?? others ?? 'http://127.0.0.1:2379'].flat().flatMap((each) => each.split(','));
  const urls = given.filter((each) => each.trim() !== '').map((each) => url(each.trim(), tls !== undefined));
  if (urls.length === 0) throw invalid('"address" of the etcd provider names no server.');
  if (new Set(urls.map(({ protocol }) => protocol)).size > 1)
    throw invalid('The addresses of the etcd provider are of one cluster: all begin with "https://", or none does.');
  if (tls !== undefined && urls.some(({ protocol }) => protocol === 'http:'))
    throw invalid('The etcd provider has "tls", but its addresses begin with "http://". Write "https://".');
  return urls.map(({ origin }) => origin);
}

function url(address: string, tls: boolean): URL {
  const whole = /^[a-z+]+:\/\//i.test(address) ? address : `${tls ? 'https' : 'http'}://${address}`;
  const parsed = URL.canParse(whole) ? new URL(whole) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.pathname !== '/' || parsed.search || parsed.username)
    throw invalid(
      `"${address}" is no address of etcd. One looks like "http://127.0.0.1:2379" or "https://etcd-1:2379".`,
    );
  // A URL leaves out the usual port of its scheme, which is not etcd's.
  const port = /:(80|443)$/.exec(whole.replace(/\/$/, ''))?.[1];
  if (parsed.port === '' && port === undefined) parsed.port = '2379';
  return parsed;
}

function tlsFiles(tls: Settings['tls'] = {}, folder = '') {
  const { server_name, ...files } = tls;
  const paths = Object.entries(files).map(([name, path]) => [name, resolve(folder, path)]);
  return { ...Object.fromEntries(paths), ...(server_name === undefined ? {} : { server_name }) };
}
