import { after, before, describe, test } from 'node:test';
import type { ConfigProvider } from '../../core/index.ts';
import consulPlugin from '../../providers/consul.ts';
import { testConfigProvider } from '../conformance/index.ts';
import { type Consul, consulMissing, startConsul } from '../services/consul.ts';
import { createInstance, extensionContext } from '../support/extension.ts';

describe('the consul provider conforms', { skip: consulMissing }, () => {
  let consul: Consul;
  let keys = 0;
  before(async () => {
    consul = await startConsul();
  });
  after(() => consul[Symbol.asyncDispose]());

  testConfigProvider({
    test,
    async create() {
      const key = `hector-${keys++}/config`;
      const open = (of: string): Promise<ConfigProvider> =>
        createInstance(consulPlugin, { address: consul.address, key: of }, extensionContext<'config'>());
      const [document, prefix] = [await open(key), await open(`${key}s/`)];
      return {
        provider: document,
        prefix,
        change: (text) => consul.put(key, text),
        changeEntry: (path, text) => consul.put(`${key}s/${path}`, text),
        async dispose() {
          await document[Symbol.asyncDispose]?.();
          await prefix[Symbol.asyncDispose]?.();
        },
      };
    },
  });
});
