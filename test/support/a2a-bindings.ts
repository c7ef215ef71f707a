import {
  type Client,
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';

const legacyCompat = { enabled: true };

/** The official client of one agent, over each way in which it can speak to it. */
export const bindings: Readonly<Record<string, (url: string, agent: string, wish?: FetchWish) => Promise<Client>>> = {
  'JSON-RPC': (url, agent, { fetchImpl = fetch } = {}) =>
    new ClientFactory({
      transports: [new JsonRpcTransportFactory({ fetchImpl })],
      cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
    }).createFromUrl(cardUrl(url, agent), ''),
  'HTTP+JSON': (url, agent, { fetchImpl = fetch } = {}) =>
    new ClientFactory({
      transports: [new RestTransportFactory({ fetchImpl })],
      cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
    }).createFromUrl(cardUrl(url, agent), ''),
  'JSON-RPC 0.3': async (url, agent, { fetchImpl = fetch } = {}) => {
    const card = (await (await fetchImpl(cardUrl(url, agent))).json()) as { supportedInterfaces?: unknown };
    // What a server of 0.3 would send: without what is new in 1.0.
    const { supportedInterfaces: _, ...old } = card;
    const resolver = new DefaultAgentCardResolver({ legacyCompat, fetchImpl });
    return new ClientFactory({
      transports: [new JsonRpcTransportFactory({ legacyCompat, fetchImpl })],
      cardResolver: resolver,
    }).createFromAgentCard(resolver.normalizeAgentCard(old));
  },
};

interface FetchWish {
  readonly fetchImpl?: typeof fetch;
}

/** As `fetch`, for a caller who says who he is. */
export function fetchAs(headers: Readonly<Record<string, string>>): typeof fetch {
  return (input, init) => {
    const all = new Headers(init?.headers);
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    return fetch(input, { ...init, headers: all });
  };
}

function cardUrl(url: string, agent: string): string {
  return `${url}/agents/${agent}/.well-known/agent-card.json`;
}

export interface RestAnswer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

export interface RestErrorBody {
  readonly error: {
    readonly code: number | string;
    readonly status: string;
    readonly message: string;
    readonly details: readonly { readonly reason: string; readonly metadata?: unknown }[];
  };
}

interface RestWish {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** As JSON, unless it is text already. */
  readonly body?: unknown;
}

/** One request of the HTTP+JSON binding without a client. */
export async function rest<Body = Record<string, unknown>>(
  url: string,
  { method, headers, body }: RestWish = {},
): Promise<RestAnswer<Body>> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : {}) as Body };
}
