import { after, before, describe, test } from 'node:test';
import type { ConfigProvider } from '../../core/index.ts';
import plugin from '../../providers/zookeeper.ts';
import { testConfigProvider } from '../conformance/config-provider.ts';
import type { Service } from '../services/service.ts';
import { startZookeeper, type ZooKeeperTool, zookeeperMissing, zookeeperTool } from '../services/zookeeper.ts';
import { createInstance, extensionContext } from '../support/extension.ts';

const skip = await zookeeperMissing();

const provider = (options: object): Promise<ConfigProvider> =>
  createInstance<'config'>(plugin, options, extensionContext());

describe('zookeeper', { skip: skip ?? false }, () => {
  let server: Service;
  let tool: ZooKeeperTool;
  before(async () => {
    server = await startZookeeper();
    tool = await zookeeperTool(server.port);
  });
  after(async () => {
    await tool[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  let harnesses = 0;
  testConfigProvider({
    test: (name, run) => test(name, run),
    create: async () => {
      const folder = `/kit/${harnesses++}`;
      const address = `127.0.0.1:${server.port}`;
      const one = await provider({ address, key: `${folder}/config` });
      const prefix = await provider({ address, key: `${folder}/parts/` });
      const change = (path: string, text: string | undefined) =>
        text === undefined ? tool.remove(path) : tool.put(path, text);
      return {
        provider: one,
        prefix,
        change: (text) => change(`${folder}/config`, text),
        changeEntry: (path, text) => change(`${folder}/parts/${path}`, text),
        dispose: async () => {
          await one[Symbol.asyncDispose]?.();
          await prefix[Symbol.asyncDispose]?.();
        },
      };
    },
  });
});
