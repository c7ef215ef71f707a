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
import { ConsulStore } from './consul-store.ts';
import { storeProvider } from './store-provider.ts';

const file = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));
const name = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const options = Type.Object(
  {
    address: Type.Optional(
      Type.String({ minLength: 1, description: 'host:port or URL of an agent. Default: 127.0.0.1:8500' }),
    ),
    scheme: Type.Optional(
      Type.Union([Type.Literal('http'), Type.Literal('https')], {
        description: 'Where the address does not say. Default: http, with "tls" https',
      }),
    ),
    key: Type.String({
      minLength: 1,
      description: 'The key of the document; with a "/" at its end everything below it is the document',
    }),
    token: Type.Optional(Type.String({ minLength: 1, description: 'ACL token' })),
    token_file: file('File with the ACL token, read for each request. Wins over "token"'),
    tls: Type.Optional(
      Type.Object(
        {
          ca: file('PEM file with the authorities that may sign the agent; default: those that Node.js knows'),
          cert: file('PEM file with the certificate that Hector shows'),
          key: file('PEM file with the key of that certificate'),
          server_name: name('The name in the certificate of the agent, if it is not the one in its address'),
        },
        { additionalProperties: false, description: 'For https' },
      ),
    ),
    datacenter: name('Default: that of the agent'),
    namespace: name('Consul Enterprise'),
    partition: name('Consul Enterprise'),
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
    const { ca, cert, key: tlsKey, server_name: serverName } = settings.tls ?? {};
    checkKey(key);
    if ((cert === undefined) !== (tlsKey === undefined))
      throw invalid('The consul provider takes "tls.cert" and "tls.key" together, or neither.');
    const at = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path));
    const store = new ConsulStore({
      url: url(settings),
      datacenter,
      namespace,
      partition,
      token,
      tokenFile: at(tokenFile),
      tls: { ca: at(ca), cert: at(cert), key: at(tlsKey), serverName },
      waitMs: bounded('wait', settings.wait, 1_000, 600_000),
      timeoutMs: bounded('timeout', settings.timeout, 250, 30_000),
      logger,
    });
    return storeProvider(store, { source: `consul:${key}`, key, logger });
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/config-consul', provides: [consul] });

type Settings = Static<typeof options>;

const invalid = (message: string) => new HectorError('invalid_options', message);

function bounded(name: string, text: string, leastMs: number, mostMs: number): number {
  const ms = milliseconds(text);
  if (ms < leastMs || ms > mostMs)
    throw invalid(`"${name}" of the consul provider is ${text}: it takes ${leastMs} ms to ${mostMs / 1_000} s.`);
  return ms;
}

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
