import { type CaddyOptions, caddyMissing, startCaddy } from '../services/caddy.ts';
import { nginxMissing, startNginx } from '../services/nginx.ts';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import { userMessage } from './a2a-client.ts';
import { type Hector, startHector } from './hector.ts';
import type { Asked } from './through-proxy.ts';
import type { TokenModel } from './token-model.ts';

/** The proxies that deploy/ has files for. */
export const proxyKinds: readonly {
  readonly name: string;
  readonly missing: string | false;
  start(options: CaddyOptions): Promise<ReverseProxy>;
}[] = [
  { name: 'nginx', missing: nginxMissing, start: startNginx },
  { name: 'caddy', missing: caddyMissing, start: startCaddy },
];

/** What stands behind a proxy: as docs/deployment-proxy.md says, with every protocol on. */
export const behindProxy = (model: TokenModel, server = 'trusted_proxies: [127.0.0.1]') => `version: "2"
llms: { default: { provider: openai, base_url: "${model.url}", api_key: none, model: m-1 } }
agents: { assistant: {} }
server:
  host: 127.0.0.1
  openai: { enabled: true }
  mcp: { enabled: true }
  ${server}
`;

export const startBehind = (model: TokenModel, server?: string, args: readonly string[] = []): Promise<Hector> =>
  startHector({ config: behindProxy(model, server), args });

/** `host:port`, as the proxies' files have it. */
export const upstream = ({ url }: Pick<Hector, 'url'>): string => new URL(url).host;

/** Every way to be answered piece by piece, and what a piece of text looks like there. */
export const streams: Readonly<Record<string, { readonly path: string; readonly asked: () => Asked }>> = {
  'JSON-RPC': {
    path: '/agents/assistant',
    asked: () => ({
      body: { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message: userMessage('go on') } },
    }),
  },
  'HTTP+JSON': {
    path: '/agents/assistant/message:stream',
    asked: () => ({ body: { message: userMessage('go on') } }),
  },
  OpenAI: {
    path: '/v1/chat/completions',
    asked: () => ({ body: { model: 'assistant', stream: true, messages: [{ role: 'user', content: 'go on' }] } }),
  },
};
