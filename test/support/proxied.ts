import { type CaddyOptions, caddyMissing, startCaddy } from '../services/caddy.ts';
import { nginxMissing, startNginx } from '../services/nginx.ts';
import type { ReverseProxy } from '../services/reverse-proxy.ts';
import { userMessage } from './a2a-client.ts';
import { type Hector, startHector } from './hector.ts';
import { type Answer, type Asked, through } from './through-proxy.ts';
import type { Answering, TokenModel } from './token-model.ts';
import { until } from './until.ts';

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
observability: { metrics: { enabled: true } }
`;

export const startBehind = (model: TokenModel, server?: string, args: readonly string[] = []): Promise<Hector> =>
  startHector({ config: behindProxy(model, server), args });

/** `host:port`, as the proxies' files have it. */
export const upstream = ({ url }: Pick<Hector, 'url'>): string => new URL(url).host;

interface Streaming {
  readonly path: string;
  readonly asked: () => Asked;
  /** What is seen of the last of these tokens. */
  readonly shows: (given: readonly string[]) => string;
}

const last = (given: readonly string[]) => given.at(-1) ?? '';

/** Every way to be answered piece by piece. */
export const streams: Readonly<Record<string, Streaming>> = {
  'JSON-RPC': {
    path: '/agents/assistant',
    asked: () => ({
      body: { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message: userMessage('go on') } },
    }),
    shows: last,
  },
  'HTTP+JSON': {
    path: '/agents/assistant/message:stream',
    asked: () => ({ body: { message: userMessage('go on') } }),
    shows: last,
  },
  OpenAI: {
    path: '/v1/chat/completions',
    asked: () => ({ body: { model: 'assistant', stream: true, messages: [{ role: 'user', content: 'go on' }] } }),
    shows: last,
  },
  // It tells how far it is, and the text with the result.
  MCP: {
    path: '/mcp',
    asked: () => ({
      body: {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'ask_assistant', arguments: { message: 'go on' }, _meta: { progressToken: 1 } },
      },
      headers: { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' },
    }),
    shows: (given) => `"${given.join('').length} characters so far"`,
  },
};

/** An answer, and the model that gives it token by token. */
export class TokenStream {
  readonly answer: Answer;
  readonly #answering: Answering;
  readonly #shows: Streaming['shows'];
  readonly #given: string[];

  private constructor(answer: Answer, answering: Answering, shows: Streaming['shows'], given: string[]) {
    this.answer = answer;
    this.#answering = answering;
    this.#shows = shows;
    this.#given = given;
  }

  /** The first token is given, for some answers do not begin before it. */
  static async open(
    proxy: Pick<ReverseProxy, 'origin' | 'ca'>,
    model: TokenModel,
    name = 'JSON-RPC',
    more: Asked = {},
  ): Promise<TokenStream> {
    const { path, asked, shows } = streams[name] as Streaming;
    const { headers, ...rest } = asked();
    const begun = through(proxy, path, {
      ...rest,
      ...more,
      headers: { 'accept-encoding': 'gzip', ...headers, ...more.headers },
    });
    const answering = await model.next();
    answering.give('token-0.');
    const stream = new TokenStream(await begun, answering, shows, ['token-0.']);
    await stream.seen();
    return stream;
  }

  get closed(): boolean {
    return this.#answering.closed;
  }

  /** Gives one more token. */
  give(): void {
    const token = `token-${this.#given.length}.`;
    this.#given.push(token);
    this.#answering.give(token);
  }

  /** Waits until the client has all that was given. */
  async seen(): Promise<void> {
    await until(() => this.answer.text().includes(this.#shows(this.#given)));
  }

  async end(): Promise<string> {
    this.#answering.end();
    return await this.answer.ended;
  }

  /** The model has said all, whoever hears it. */
  finish(): void {
    this.#answering.end();
  }
}
