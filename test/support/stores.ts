import { consulMissing, startConsul } from '../services/consul.ts';
import { etcdMissing, startEtcd } from '../services/etcd.ts';
import type { Service } from '../services/service.ts';
import { startZookeeper, zookeeperMissing, zookeeperTool } from '../services/zookeeper.ts';

/** A real configuration store, as an operator sees it. */
export interface TestStore extends AsyncDisposable {
  readonly service: Service;
  /** `127.0.0.1:2379`, or with another port in front of it. */
  address(port?: number): string;
  /** By the store's own client; `undefined` removes the key. */
  put(key: string, text: string | undefined): Promise<void>;
}

export interface StoreKind {
  readonly name: 'consul' | 'etcd' | 'zookeeper';
  /** For `skip`. */
  readonly missing: string | false;
  start(): Promise<TestStore>;
}

const address =
  (service: Service) =>
  (port: number = service.port) =>
    `127.0.0.1:${port}`;

export const storeKinds: readonly StoreKind[] = [
  {
    name: 'consul',
    missing: consulMissing,
    async start() {
      const consul = await startConsul();
      return {
        service: consul,
        address: address(consul),
        put: (key, text) => consul.put(key, text),
        [Symbol.asyncDispose]: () => consul[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: 'etcd',
    missing: etcdMissing,
    async start() {
      const etcd = await startEtcd();
      return {
        service: etcd,
        address: address(etcd),
        async put(key, text) {
          if (text === undefined) await etcd.ctl('del', key);
          else await etcd.ctlWithInput(text, 'put', key);
        },
        [Symbol.asyncDispose]: () => etcd[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: 'zookeeper',
    missing: (await zookeeperMissing()) ?? false,
    async start() {
      const zookeeper = await startZookeeper();
      return {
        service: zookeeper,
        address: address(zookeeper),
        async put(key, text) {
          await using tool = await zookeeperTool(zookeeper.port);
          if (text === undefined) await tool.remove(`/${key}`);
          else await tool.put(`/${key}`, text);
        },
        [Symbol.asyncDispose]: () => zookeeper[Symbol.asyncDispose](),
      };
    },
  },
];
