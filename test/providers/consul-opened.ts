import type { ConfigProvider } from '../../core/index.ts';
import consulPlugin from '../../providers/consul.ts';
import { createInstance, extensionContext } from '../support/extension.ts';

export const openConsul = async (options: object): Promise<Required<ConfigProvider>> =>
  (await createInstance(consulPlugin, options, extensionContext<'config'>())) as Required<ConfigProvider>;
