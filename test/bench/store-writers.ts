import { startConsul } from '../services/consul.ts';
import { startEtcd } from '../services/etcd.ts';
import { startZookeeper, zookeeperTool } from '../services/zookeeper.ts';
import { storeKinds } from '../support/stores.ts';

export interface StoreWriter extends AsyncDisposable {
  readonly address: string;
  /** Resolves when the store has said that it has it. */
  write(key: string, text: string): Promise<void>;
}

/** A real store and a client of it that is connected already: a program that is started for each write would hide the wait. */
const starts: Readonly<Record<(typeof storeKinds)[number]['name'], () => Promise<StoreWriter>>> = {
  async consul() {
    const consul = await startConsul();
    return {
      address: `127.0.0.1:${consul.port}`,
      write: (key, text) => send(`http://127.0.0.1:${consul.port}/v1/kv/${key}`, 'PUT', text),
      [Symbol.asyncDispose]: () => consul[Symbol.asyncDispose](),
    };
  },
  async etcd() {
    const etcd = await startEtcd();
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    return {
      address: `127.0.0.1:${etcd.port}`,
      write: (key, text) =>
        send(`${etcd.url}/v3/kv/put`, 'POST', JSON.stringify({ key: base64(key), value: base64(text) })),
      [Symbol.asyncDispose]: () => etcd[Symbol.asyncDispose](),
    };
  },
  async zookeeper() {
    const zookeeper = await startZookeeper();
    const tool = await zookeeperTool(zookeeper.port);
    return {
      address: `127.0.0.1:${zookeeper.port}`,
      write: (key, text) => tool.put(`/${key}`, text),
      async [Symbol.asyncDispose]() {
        await tool[Symbol.asyncDispose]();
        await zookeeper[Symbol.asyncDispose]();
      },
    };
  },
};

export const stores = storeKinds.map(({ name, missing }) => ({ name, missing, start: starts[name] }));

async function send(url: string, method: string, body: string): Promise<void> {
  const response = await fetch(url, { method, body });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: HTTP ${response.status}: ${answer}`);
}
