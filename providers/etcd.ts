import { type ConfigProvider, configProvider, definePlugin, duration, type Static, Type } from '../core/index.ts';
import {
  bounded,
  checkTogether,
  invalid,
  keyOption,
  serversOption,
  textOption,
  tlsFiles,
  tlsOption,
} from './store-options.ts';
import { storeProvider } from './store-provider.ts';

const options = Type.Object(
  {
    address: serversOption('The members of the cluster, a list or separated by commas. Default: http://127.0.0.1:2379'),
    endpoints: serversOption('The same as "address"'),
    key: keyOption,
    user: textOption('For a cluster with authentication'),
    password: Type.Optional(Type.String({ description: 'Of the user' })),
    tls: tlsOption('server', 'For addresses that begin with https://'),
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
    // Together they keep what is promised: a lost connection is known within half a minute, a word comes every minute.
    const relistMs = bounded('etcd', 'relist', settings.relist, 1_000, 60_000);
    const keepaliveMs = bounded('etcd', 'keepalive', settings.keepalive, 250, 20_000);
    const timeoutMs = bounded('etcd', 'timeout', settings.timeout, 250, 10_000);
    checkTogether('etcd', 'user', settings.user, 'password', settings.password);
    const tls = tlsFiles('etcd', settings.tls, folder);
    const { etcdStore } = await import('./etcd-store.ts');
    const store = etcdStore({
      endpoints: addresses(settings),
      user: settings.user,
      password: settings.password,
      tls,
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
