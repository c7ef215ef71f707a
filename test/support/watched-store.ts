import type { ConfigProvider } from '../../core/index.ts';
import { Registry } from '../../core/plugin/registry.ts';
import { builtins } from '../../plugins/builtin.ts';
import { zookeeperTool } from '../services/zookeeper.ts';
import { extensionContext } from './extension.ts';
import type { StoreKind, TestStore } from './stores.ts';

/** Options that find out soon what those of production find out within half a minute. */
const impatient: Readonly<Record<StoreKind['name'], object>> = {
  consul: { wait: '5s', timeout: '1s' },
  etcd: { relist: '2s', keepalive: '500ms', timeout: '1s' },
  zookeeper: { session_timeout: '2s', timeout: '1s' },
};

const registry = new Registry(builtins);

/** A real provider by its name, as the `config` block makes it. */
export async function configProviderOf(name: string, options: object): Promise<ConfigProvider> {
  const registered = registry.find('config', name);
  if (!registered) throw new Error(`There is no config provider ${name}.`);
  return await registered.extension.create(options as never, extensionContext<'config'>().context);
}

/** A provider of a store, through whatever port leads there. */
export const storeProviderOf = ({ name }: StoreKind, store: TestStore, key: string, port: number) =>
  configProviderOf(name, { ...impatient[name], address: store.address(port), key });

/** Writes to a store without its provider, many times and cheaply; never while the store is being restarted. */
export class StoreWriter implements AsyncDisposable {
  readonly #kind: StoreKind['name'];
  readonly #store: TestStore;
  #zookeeper: ReturnType<typeof zookeeperTool> | undefined;
  #writing = 0;
  #restarting: Promise<void> | undefined;
  #idle = () => {};

  constructor({ name }: StoreKind, store: TestStore) {
    this.#kind = name;
    this.#store = store;
  }

  /** `undefined` removes it. */
  async put(key: string, text: string | undefined): Promise<void> {
    while (this.#restarting) await this.#restarting;
    this.#writing++;
    try {
      await this.#put(key, text);
    } finally {
      if (--this.#writing === 0) this.#idle();
    }
  }

  /** `kill -9`, and up again. Whoever wants to write waits. */
  async restart(downMs: number): Promise<void> {
    this.#restarting ??= this.#restart(downMs).finally(() => {
      this.#restarting = undefined;
    });
    await this.#restarting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#zookeeper)?.[Symbol.asyncDispose]();
  }

  async #restart(downMs: number): Promise<void> {
    if (this.#writing > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    await (await this.#zookeeper)?.[Symbol.asyncDispose]();
    this.#zookeeper = undefined;
    await this.#store.service.kill();
    await new Promise((resolve) => setTimeout(resolve, downMs));
    await this.#store.service.restart();
  }

  async #put(key: string, text: string | undefined): Promise<void> {
    const { port } = this.#store.service;
    if (this.#kind === 'zookeeper') {
      this.#zookeeper ??= zookeeperTool(port);
      const tool = await this.#zookeeper;
      if (text === undefined) await tool.remove(`/${key}`);
      else await tool.put(`/${key}`, text);
    } else if (this.#kind === 'consul') {
      await this.#store.put(key, text);
    } else {
      const in64 = (each: string) => Buffer.from(each).toString('base64');
      const what = text === undefined ? 'deleterange' : 'put';
      const body = JSON.stringify({ key: in64(key), ...(text !== undefined && { value: in64(text) }) });
      const answer = await fetch(`http://127.0.0.1:${port}/v3/kv/${what}`, { method: 'POST', body });
      if (!answer.ok) throw new Error(`etcd: ${answer.status} ${await answer.text()}`);
      await answer.arrayBuffer();
    }
  }
}
