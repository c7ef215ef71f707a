import { once } from 'node:events';
import { access, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import zookeeper, { type Client, type Stat } from 'node-zookeeper-client';
import { findProgram, foundOrInstalled, freePort, type Service, serviceFolder, startService } from './service.ts';

/** Of Debian's package; its manifest names the others that it needs. */
const jar = '/usr/share/java/zookeeper.jar';

const find = async (): Promise<string | undefined> => {
  const there = await access(jar).then(
    () => true,
    () => false,
  );
  return there ? await findProgram('java') : undefined;
};

/** What is missing, in one sentence for `skip`; nothing where it can be started. Installs it where that is allowed. */
export async function zookeeperMissing(): Promise<string | undefined> {
  if (await foundOrInstalled(find, 'zookeeper')) return undefined;
  return 'ZooKeeper is not here: apt-get install zookeeper, or set HECTOR_TEST_INSTALL=1 and the tests install it';
}

export interface ZooKeeperOptions {
  /** More lines of zoo.cfg, instead of those that are there by default. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** A server of its own, with sessions as short as half a second. */
export async function startZookeeper({ settings = {} }: ZooKeeperOptions = {}): Promise<Service> {
  const java = await find();
  if (!java) throw new Error('ZooKeeper is not installed.');
  const folder = await serviceFolder('zookeeper');
  const port = await freePort();
  const lines = {
    dataDir: join(folder, 'data'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    tickTime: 100,
    minSessionTimeout: 500,
    maxSessionTimeout: 60_000,
    maxClientCnxns: 0,
    'admin.enableServer': false,
    '4lw.commands.whitelist': '*',
    ...settings,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(folder, 'zoo.cfg'), text.join(''));
  return startService({
    name: 'zookeeper',
    port,
    folder,
    command: () => ({
      program: java,
      args: [
        ...['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'],
        ...['-cp', jar, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', join(folder, 'zoo.cfg')],
      ],
    }),
    ready: async () => /^Mode: /m.test(await ask(port, 'srvr')),
  });
}

/** One of ZooKeeper's commands of four letters; '' where nobody answers. */
export async function ask(port: number, command: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(2_000, () => socket.destroy());
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  // Refused: it is not there yet.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.end(command);
  await closed;
  return answer;
}

/** The driver itself, for changes behind the back of what is tested. Not for servers that fail meanwhile. */
export interface ZooKeeperTool extends AsyncDisposable {
  readonly client: Client;
  /** Makes the node, with those above it, or changes it. */
  put(path: string, text: string): Promise<void>;
  /** `undefined` where there is no such node. */
  get(path: string): Promise<string | undefined>;
  names(path: string): Promise<readonly string[] | undefined>;
  /** With all that is below it. */
  remove(path: string): Promise<void>;
  /** In one transaction, of nodes that are there. */
  putAll(texts: ReadonlyMap<string, string>): Promise<void>;
}

const noNode = -101;

export async function zookeeperTool(
  port: number,
  auth?: { readonly user: string; readonly password: string },
): Promise<ZooKeeperTool> {
  const client = zookeeper.createClient(`127.0.0.1:${port}`, { sessionTimeout: 30_000 });
  if (auth) client.addAuthInfo('digest', Buffer.from(`${auth.user}:${auth.password}`));
  const connected = once(client, 'connected');
  client.connect();
  await connected;
  const call = <T>(start: (done: (error: unknown, value: T) => void) => void): Promise<T | undefined> =>
    new Promise((resolve, reject) =>
      start((error, value) => {
        if ((error as { code?: unknown } | null)?.code === noNode) resolve(undefined);
        else if (error) reject(error);
        else resolve(value);
      }),
    );
  const stat = (path: string) => call<Stat | null>((done) => client.exists(path, done));
  const remove = async (path: string): Promise<void> => {
    const names = await call<string[]>((done) => client.getChildren(path, done));
    for (const name of names ?? []) await remove(`${path}/${name}`);
    await call((done) => client.remove(path, (error) => done(error, undefined)));
  };
  return {
    client,
    async put(path, text) {
      const data = Buffer.from(text);
      if (await stat(path)) await call((done) => client.setData(path, data, done));
      else {
        const above = path.slice(0, path.lastIndexOf('/'));
        if (above !== '') await call((done) => client.mkdirp(above, done));
        await call((done) => client.create(path, data, done));
      }
    },
    get: async (path) => {
      const data = await call<Buffer | undefined>((done) => client.getData(path, done));
      return data?.toString();
    },
    names: (path) => call<string[]>((done) => client.getChildren(path, done)),
    remove,
    async putAll(texts) {
      const transaction = client.transaction();
      for (const [path, text] of texts) transaction.setData(path, Buffer.from(text));
      await call((done) => transaction.commit((error) => done(error, undefined)));
    },
    async [Symbol.asyncDispose]() {
      const closed = once(client, 'disconnected');
      client.close();
      await closed;
    },
  };
}
