import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigProvider } from '../../core/extension/config-provider.ts';
import type { Plugin } from '../../core/plugin/definition.ts';
import { createInstance, extensionContext } from '../support/extension.ts';
import { localPart } from './configuration.ts';

export const storeNames = ['file', 'consul', 'etcd', 'zookeeper'] as const;
export type StoreName = (typeof storeNames)[number];

/** Where the configuration is kept during a soak. */
export interface Store extends AsyncDisposable {
  /** What `config.yaml` says when the server starts. */
  readonly config: string;
  /** Puts a document there. Returns it as the source then has it. */
  write(document: string, folder: string): Promise<string>;
}

/** A real server of the store is started for it; what the others need is not even loaded. */
export async function openStore(name: StoreName, first: string): Promise<Store> {
  switch (name) {
    case 'file':
      return fileStore(first);
    case 'consul': {
      const { startConsul } = await import('../services/consul.ts');
      const { default: plugin } = await import('../../providers/consul.ts');
      const server = await startConsul();
      return remoteStore({ name, plugin, address: server.address, key: 'soak', server }, first);
    }
    case 'etcd': {
      const { startEtcd } = await import('../services/etcd.ts');
      const { default: plugin } = await import('../../providers/etcd.ts');
      const server = await startEtcd();
      return remoteStore({ name, plugin, address: server.url, key: 'soak', server }, first);
    }
    case 'zookeeper': {
      const { startZookeeper } = await import('../services/zookeeper.ts');
      const { default: plugin } = await import('../../providers/zookeeper.ts');
      const server = await startZookeeper();
      return remoteStore({ name, plugin, address: `127.0.0.1:${server.port}`, key: '/soak', server }, first);
    }
  }
}

/** In turn written in place and put in the place of the one before. */
function fileStore(first: string): Store {
  const whole = (document: string) => localPart + document;
  let writes = 0;
  return {
    config: whole(first),
    async write(document, folder) {
      const path = join(folder, 'config.yaml');
      const text = whole(document);
      if (writes++ % 2 === 0) await writeFile(path, text);
      else {
        await writeFile(`${path}.new`, text);
        await rename(`${path}.new`, path);
      }
      return text;
    },
    async [Symbol.asyncDispose]() {},
  };
}

interface Remote {
  readonly name: string;
  readonly plugin: Plugin;
  readonly address: string;
  readonly key: string;
  readonly server: AsyncDisposable;
}

async function remoteStore(remote: Remote, first: string): Promise<Store> {
  const { name, address, key, server } = remote;
  try {
    return await writerOf(remote, first);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw new Error(`${name} at ${address} does not take ${key}`, { cause: error });
  }
}

async function writerOf({ name, plugin, address, key, server }: Remote, first: string): Promise<Store> {
  const provider = await createInstance<'config'>(plugin, { address, key }, extensionContext<'config'>());
  const write = provider.write?.bind(provider) as NonNullable<ConfigProvider['write']>;
  let revision = await write({ text: first }, undefined, AbortSignal.timeout(10_000));
  return {
    config: `${localPart}config: { provider: ${name}, address: "${address}", key: ${key}, throttle: "0" }\n`,
    async write(document) {
      revision = await write({ text: document }, revision, AbortSignal.timeout(10_000));
      return document;
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.();
      await server[Symbol.asyncDispose]();
    },
  };
}
