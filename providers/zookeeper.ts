import { configProvider, definePlugin, duration, HectorError, milliseconds, Type } from '../core/index.ts';
import { invalid, serversOption } from './store-options.ts';
import { storeProvider } from './store-provider.ts';
import type { Server } from './zookeeper-driver.ts';
import { ZooKeeperStore } from './zookeeper-store.ts';

const defaultPort = 2181;

/** A node, or with a `/` at its end all that is below it. Its revision is the transaction that wrote it last. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/config-zookeeper',
  provides: [
    configProvider({
      name: 'zookeeper',
      description: 'Apache ZooKeeper',
      options: Type.Object(
        {
          address: serversOption(
            'The servers, `host:port` with commas between them, or a list (default: 127.0.0.1:2181)',
          ),
          servers: serversOption('The same as `address`'),
          key: Type.String({ minLength: 1, description: 'The node; with a "/" at its end all that is below it' }),
          auth: Type.Optional(
            Type.Object(
              {
                scheme: Type.Literal('digest', { default: 'digest' }),
                user: Type.String({ minLength: 1 }),
                password: Type.String({ description: 'A reference: `${ZOOKEEPER_PASSWORD}`' }),
              },
              { additionalProperties: false, description: 'Who we are, for nodes whose ACL asks' },
            ),
          ),
          session_timeout: duration('10s', 'For how long the server keeps a session that it hears nothing from'),
          timeout: duration('5s', 'A server that does not answer for so long is given up'),
        },
        { additionalProperties: false },
      ),
      create({ address, servers, key, auth, session_timeout, timeout }, { logger }) {
        if (address !== undefined && servers !== undefined)
          throw invalid('The config provider zookeeper takes `address` or `servers`, not both.');
        const { list, root } = parseServers(address ?? servers ?? `127.0.0.1:${defaultPort}`);
        const path = pathOf(key);
        const store = new ZooKeeperStore({
          servers: list,
          root,
          key: path,
          sessionTimeoutMs: milliseconds(session_timeout),
          timeoutMs: milliseconds(timeout),
          ...(auth ? { auth } : {}),
          logger,
        });
        return storeProvider(store, { source: `zookeeper:${path.slice(1)}`, key: path, logger });
      },
    }),
  ],
});

/** Of a connection string: `zk1:2181,zk2:2181/tenants/a`. */
function parseServers(text: string | readonly string[]): { readonly list: readonly Server[]; readonly root: string } {
  const joined = typeof text === 'string' ? text : text.join(',');
  const slash = joined.indexOf('/');
  const hosts = (slash < 0 ? joined : joined.slice(0, slash)).split(',').map((host) => host.trim());
  const root = slash < 0 ? '' : joined.slice(slash).replace(/\/$/, '');
  const list = hosts
    .filter((host) => host !== '')
    .map((host) => {
      const [, ipv6, name, port = String(defaultPort)] = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?$/.exec(host) ?? [];
      const found = ipv6 ?? name;
      if (found === undefined || Number(port) > 65_535)
        throw invalid(`"${host}" is no address of a ZooKeeper server; one is like "zk1:2181".`);
      return { host: found, port: Number(port) };
    });
  if (list.length === 0) throw invalid(`"${joined}" names no ZooKeeper server; one is like "zk1:2181".`);
  if (root !== '') checkNames(joined, root.slice(1));
  return { list, root };
}

function pathOf(key: string): string {
  const path = key.startsWith('/') ? key : `/${key}`;
  checkNames(key, path.replace(/^\/|\/$/g, ''));
  return path;
}

function checkNames(text: string, path: string): void {
  // Those that ZooKeeper itself does not take.
  for (const name of path.split('/'))
    if (name === '' || name === '.' || name === '..' || /\p{Cc}/u.test(name))
      throw new HectorError('invalid_key', `"${text}" has a part that ZooKeeper takes for no name: "${name}".`);
}
