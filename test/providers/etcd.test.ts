import { after, before, describe, test } from 'node:test';
import type { ConfigProvider } from '../../core/index.ts';
import etcdPlugin from '../../providers/etcd.ts';
import { testConfigProvider } from '../conformance/index.ts';
import { type Etcd, etcdMissing, startEtcd } from '../services/etcd.ts';
import { createInstance, extensionContext } from '../support/extension.ts';

describe('the etcd provider conforms', { skip: etcdMissing }, () => {
  let etcd: Etcd;
  let keys = 0;
  before(async () => {
    etcd = await startEtcd();
  });
  after(() => etcd[Symbol.asyncDispose]());

  testConfigProvider({
    test,
    async create() {
      const key = `hector-${keys++}/config`;
      const provider = (of: string): Promise<ConfigProvider> =>
        createInstance(etcdPlugin, { address: etcd.url, key: of }, extensionContext<'config'>());
      const change = async (at: string, text: string | undefined) => {
        if (text === undefined) await etcd.ctl('del', at);
        else if (text === '') await etcd.ctl('put', at, '');
        else await etcd.ctlWithInput(text, 'put', at);
      };
      const [document, prefix] = [await provider(key), await provider(`${key}s/`)];
      return {
        provider: document,
        prefix,
        change: (text) => change(key, text),
        changeEntry: (path, text) => change(`${key}s/${path}`, text),
        async dispose() {
          await document[Symbol.asyncDispose]?.();
          await prefix[Symbol.asyncDispose]?.();
        },
      };
    },
  });
});
