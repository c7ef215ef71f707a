import { AgentCard } from '@a2a-js/sdk';
import { DefaultAgentCardResolver } from '@a2a-js/sdk/client';
import { errorMessage, HectorError } from '../../../core/errors.ts';
import { shown } from './http.ts';
import { oneLine } from './text.ts';

/** A card, and what it says in the form that the SDK takes. */
export interface FoundCard {
  /** The name by which it is chosen: that of a Hector's agent, else the one that the card shows. */
  readonly name: string;
  readonly card: AgentCard;
}

const legacy = new DefaultAgentCardResolver({ legacyCompat: { enabled: true } });
const bindings: ReadonlySet<string> = new Set(['JSONRPC', 'HTTP+JSON']);

/** `undefined` for JSON that is not meant to be a card. */
export function readCard(value: unknown, from: URL): FoundCard | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const current = Array.isArray(fields['supportedInterfaces']) && fields['supportedInterfaces'].length > 0;
  if (typeof fields['name'] !== 'string' || !(current || typeof fields['url'] === 'string')) return undefined;
  let card: AgentCard;
  try {
    card = current ? AgentCard.fromJSON(fields) : legacy.normalizeAgentCard(complete(fields));
  } catch (error) {
    throw new HectorError(
      'remote_card',
      `The agent card at ${shown(from)} is not one: ${oneLine(errorMessage(error))}.`,
    );
  }
  const spoken = card.supportedInterfaces.flatMap(({ url, protocolBinding, protocolVersion, ...rest }) => {
    const absolute = URL.canParse(url, from.href) ? new URL(url, from).href : undefined;
    const usable = bindings.has(protocolBinding.toUpperCase()) && absolute !== undefined && /^https?:/.test(absolute);
    return usable ? [{ ...rest, protocolBinding, url: absolute, protocolVersion: asSpoken(protocolVersion) }] : [];
  });
  if (spoken.length === 0) {
    const there = card.supportedInterfaces.map(({ protocolBinding }) => oneLine(protocolBinding, 20)).join(', ');
    throw new HectorError(
      'remote_card',
      `The agent ${oneLine(card.name)} cannot be talked to from here: its card offers ${there || 'nothing'}, and Hector speaks JSONRPC and HTTP+JSON over http and https.`,
    );
  }
  const path = new URL(spoken[0]?.url ?? from).pathname;
  const key = /\/agents\/([^/]+)\/?$/.exec(path)?.[1];
  return { name: key === undefined ? card.name : decoded(key), card: { ...card, supportedInterfaces: spoken } };
}

/** Early versions say what 0.3 says; the SDK only knows the latter. */
function asSpoken(version: string): string {
  return /^0\.[0-2](\.|$)/.test(version) ? '0.3' : version;
}

/** Cards of 0.3 are often written by hand, and what the SDK insists on is left out. */
function complete(fields: Readonly<Record<string, unknown>>): object {
  return {
    description: '',
    version: '',
    ...fields,
    capabilities: fields['capabilities'] ?? {},
    defaultInputModes: fields['defaultInputModes'] ?? ['text/plain'],
    defaultOutputModes: fields['defaultOutputModes'] ?? ['text/plain'],
    skills: fields['skills'] ?? [],
  };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
