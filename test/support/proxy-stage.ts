import { after, before } from 'node:test';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import type { Hector } from './hector.ts';
import { type proxyKinds, startBehind, upstream } from './proxied.ts';
import { TokenModel } from './token-model.ts';

/** One proxy, one Hector and one model for the tests of a `describe`. */
export interface ProxyStage {
  readonly model: TokenModel;
  readonly hector: Hector;
  readonly proxy: ReverseProxy;
}

export function proxyStage(kind: (typeof proxyKinds)[number], server?: string): ProxyStage {
  const stage: { -readonly [Name in keyof ProxyStage]?: ProxyStage[Name] } = {};
  before(async () => {
    stage.model = await TokenModel.start();
    stage.hector = await startBehind(stage.model, server);
    stage.proxy = await kind.start({ upstreams: [upstream(stage.hector)] });
  });
  after(async () => {
    for (const each of [stage.proxy, stage.hector, stage.model]) await each?.[Symbol.asyncDispose]();
  });
  return stage as ProxyStage;
}
