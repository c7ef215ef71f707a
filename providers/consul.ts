import { resolve } from 'node:path';
import {
  type ConfigProvider,
  configProvider,
  definePlugin,
  duration,
  HectorError,
  type Static,
  Type,
} from '../core/index.ts';
import { ConsulStore } from './consul-store.ts';
import { bounded, invalid, keyOption, textOption, tlsFiles, tlsOption } from './store-options.ts';
import { storeProvider } from './store-provider.ts';

const options = Type.Object(
  {
    address: textOption('host:port or URL of an agent. Default: 127.0.0.1:8500'),
    scheme: Type.Optional(
      Type.Union([Type.Literal('http'), Type.Literal('https')], {
        description: 'Where the address does not say. Default: http, with "tls" https',
      }),
    ),
    key: keyOption,
    token: textOption('ACL token'),
    token_file: textOption('File with the ACL token, read for each request. Wins over "token"'),
    tls: tlsOption('agent', 'For https'),
    datacenter: textOption('Default: that of the agent'),
    namespace: textOption('Consul Enterprise'),
    partition: textOption('Consul Enterprise'),
    wait: duration('60s', 'How long a query waits for a change before it is asked again'),
    timeout: duration('10s', 'How long the agent may take to answer'),
  },
  { additionalProperties: false },
);

const consul = configProvider({
  name: 'consul',
  description: 'A key or prefix in Consul',
  options,
  environment: { address: ['CONSUL_HTTP_ADDR'], token: ['CONSUL_HTTP_TOKEN'] },
  create(settings, { folder = '', logger }): ConfigProvider {
    const { key, token, token_file: tokenFile, datacenter, namespace, partition } = settings;
    checkKey(key);
    const { server_name: serverName, ...files } = tlsFiles('consul', settings.tls, folder);
    const store = new ConsulStore({
      url: url(settings),
      datacenter,
      namespace,
      partition,
      token,
      tokenFile: tokenFile === undefined ? undefined : resolve(folder, tokenFile),
      tls: { ...files, serverName },
      waitMs: bounded('consul', 'wait', settings.wait, 1_000, 600_000),
      timeoutMs: bounded('consul', 'timeout', settings.timeout, 250, 30_000),
      logger,
    });
    return storeProvider(store, { source: `consul:${key}`, key, logger });
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/config-consul', provides: [consul] });

type Settings = Static<typeof options>;

/** The agent takes a key from the path of a URL, and leads a path like these elsewhere. */
function checkKey(key: string): void {
  const segments = key.replace(/\/$/, '').split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw new HectorError(
      'invalid_key',
      `"${key}" is no key for the consul provider: it begins with "/" or has an empty segment, "." or "..". One looks ` +
        'like "hector/production/config".',
    );
}

function url({ address = '127.0.0.1:8500', scheme, tls }: Settings): string {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(address)
    ? address
    : `${scheme ?? (tls ? 'https' : 'http')}://${address}`;
  const parsed = URL.canParse(whole) ? new URL(whole) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash || parsed.username)
    throw invalid(
      `"${address}" is no address of Consul. One looks like "127.0.0.1:8500" or "https://consul.example.com:8501".`,
    );
  const protocol = parsed.protocol.slice(0, -1);
  if (scheme !== undefined && scheme !== protocol)
    throw invalid(`The consul provider has the scheme "${scheme}" and an address that begins with "${protocol}://".`);
  if (tls !== undefined && protocol === 'http')
    throw invalid('The consul provider has "tls" and speaks http. Write "https://" or "scheme: https".');
  // A URL leaves out the usual port of its scheme, which is not Consul's where none was written.
  if (parsed.port === '' && !/^[a-z]+:\/\/[^/]*:\d+/i.test(whole)) parsed.port = protocol === 'https' ? '8501' : '8500';
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}
