import { AgentCard } from '@a2a-js/sdk';
import {
  type Client,
  ClientFactory,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { errorMessage } from '../../../core/index.ts';
import type { Connection } from './connection.ts';
import { failure, type Who } from './failure.ts';

/** Where and how to talk to the other agent, as its card says. */
export interface Endpoint {
  readonly client: Client;
  readonly host: string;
  /** Where messages go. */
  readonly url: string;
  readonly streams: boolean;
}

export interface EndpointOptions extends Who {
  readonly connection: Connection;
  readonly transport: 'jsonrpc' | 'rest' | undefined;
  /** Where messages go, whatever the card says. */
  readonly url: string | undefined;
  /**
   * Where the card was fetched from, if requests carry headers: they are meant for this origin, and a card does not get to
   * send them to another one.
   */
  readonly confidant: string | undefined;
}

const bindings = { jsonrpc: 'JSONRPC', rest: 'HTTP+JSON' } as const;
const legacyCompat = { enabled: true };
const legacyReader = new DefaultAgentCardResolver({ legacyCompat });

/** `where`: of the card, for messages. */
export async function endpointOf(text: string, where: string, options: EndpointOptions): Promise<Endpoint> {
  const { connection, url, confidant } = options;
  const card = cardOf(text, where, options);
  const chosen = interfaceOf(card, where, options);
  const target = url ?? chosen.url;
  if (!URL.canParse(target) || !/^https?:$/.test(new URL(target).protocol)) {
    throw failure(options, 'protocol', `the card at ${where} says that messages go to "${target}", which is no URL`);
  }
  const { host, origin } = new URL(target);
  if (confidant !== undefined && url === undefined && new URL(confidant).origin !== origin) {
    const remedy = `set agent_card_url: ${confidant} and url: ${target} to allow it`;
    const what = `the card at ${where} would have the configured headers sent to ${origin}; ${remedy}`;
    throw failure(options, 'protocol', what);
  }
  const transport = { fetchImpl: connection.fetch, legacyCompat };
  const factory = new ClientFactory({
    transports: [new JsonRpcTransportFactory(transport), new RestTransportFactory(transport)],
    // The card has been read already; the client's own reading would take it for one of another version.
    cardResolver: { resolve: async () => card, normalizeAgentCard: (read) => read as AgentCard },
  });
  // The client takes the versions before 0.3 for 1.0, though they are spoken to like 0.3.
  const protocolVersion = chosen.protocolVersion.startsWith('1') ? '1.0' : '0.3';
  const supportedInterfaces = [{ ...chosen, url: target, protocolVersion }];
  const client = await factory.createFromAgentCard({ ...card, supportedInterfaces });
  return { client, host, url: target, streams: card.capabilities?.streaming ?? false };
}

function cardOf(text: string, where: string, who: Who): AgentCard {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw failure(who, 'protocol', `what is at ${where} is not JSON, so no agent card`, { cause });
  }
  const { supportedInterfaces, url } = (json ?? {}) as { supportedInterfaces?: unknown; url?: unknown };
  try {
    if (Array.isArray(supportedInterfaces) && supportedInterfaces.length > 0) return AgentCard.fromJSON(json);
    if (typeof url === 'string') return legacyReader.normalizeAgentCard(json);
  } catch (cause) {
    throw failure(who, 'protocol', `the card at ${where} cannot be read: ${errorMessage(cause)}`, { cause });
  }
  throw failure(who, 'protocol', `what is at ${where} is no agent card: it does not say where messages go`);
}

/** The first that is known here, and in the newest version that it is offered in. */
function interfaceOf(card: AgentCard, where: string, { transport, name }: EndpointOptions) {
  const wanted = transport ? [bindings[transport]] : Object.values(bindings);
  const bound = card.supportedInterfaces.filter(({ protocolBinding }) =>
    wanted.some((binding) => binding === protocolBinding.toUpperCase()),
  );
  const known = bound.filter(({ protocolVersion }) => isKnown(protocolVersion));
  const first = known[0];
  const newest = known.find(
    ({ protocolBinding, protocolVersion }) =>
      protocolBinding.toUpperCase() === first?.protocolBinding.toUpperCase() && protocolVersion.startsWith('1'),
  );
  const chosen = newest ?? first;
  if (chosen) return chosen;
  const offered = card.supportedInterfaces.map((each) => `${each.protocolBinding} ${each.protocolVersion}`).join(', ');
  const what = `the card at ${where} offers ${offered}, and spoken here is ${wanted.join(' or ')} in version 1.0 or 0.3`;
  throw failure({ name }, 'protocol', what);
}

/** None at all is one of the old ones. */
function isKnown(version: string): boolean {
  return version === '' || /^(0\.[23]|1)(\.|$)/.test(version);
}
