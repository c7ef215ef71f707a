import { closest, listed } from '../../../core/config/suggestion.ts';
import { HectorError } from '../../../core/errors.ts';
import { type FoundCard, readCard } from './card.ts';
import { shown } from './http.ts';
import { oneLine } from './text.ts';

export interface FindOptions {
  readonly fetch: typeof fetch;
  /** One of several agents of a server. */
  readonly agent?: string | undefined;
  readonly signal: AbortSignal;
}

const wellKnown = ['/.well-known/agent-card.json', '/.well-known/agent.json'];
const readMs = 15_000;
const maxBytes = 16 * 1024 * 1024;
/** Answers that mean: not here. */
const notThere: ReadonlySet<number> = new Set([400, 404, 405, 406, 410, 501]);

/** The agent at an address, which may be that of its card, its own, or that of its server. */
export async function findAgent(address: URL, options: FindOptions): Promise<FoundCard> {
  const { agent } = options;
  if (agent !== undefined) return named(address, agent, options);
  const tried: URL[] = [];
  for (const url of places(address)) {
    tried.push(url);
    const card = readCard(await json(url, options), url);
    if (card) return card;
  }
  const ofServer = await cardOfServer(address, options);
  if (ofServer) return ofServer;
  const all = (await listAgents(address, options)) ?? [];
  const [only] = all;
  if (only && all.length === 1) return only;
  if (only) {
    throw new HectorError(
      'remote_choice',
      `${shown(address)} has several agents ${listed('there are', namesOf(all))}. Choose one with --agent.`,
    );
  }
  throw new HectorError(
    'remote_card',
    `${shown(address)} does not speak A2A: there is no agent card at ${tried.map(shown).join(', ')}. Give the address of an agent, of its card, or of its server.`,
  );
}

/** All agents of a Hector; `undefined` where the server has no such list. */
export async function listAgents(address: URL, options: FindOptions): Promise<readonly FoundCard[] | undefined> {
  const url = below(serverOf(address), '/agents');
  const list = await json(url, options);
  const agents = (list as { agents?: unknown } | null | undefined)?.agents;
  if (!Array.isArray(agents)) return undefined;
  return agents.flatMap((each) => readCard(each, url) ?? []);
}

async function named(address: URL, agent: string, options: FindOptions): Promise<FoundCard> {
  const own = below(serverOf(address), `/agents/${encodeURIComponent(agent)}${wellKnown[0]}`);
  const card = readCard(await json(own, options), own);
  if (card) return card;
  const all = (await listAgents(address, options)) ?? [await findAgent(address, { ...options, agent: undefined })];
  const found = all.find((each) => each.name === agent || each.card.name === agent);
  if (found) return found;
  const hint = closest(agent, namesOf(all));
  throw new HectorError(
    'unknown_agent',
    `${shown(address)} has no agent "${oneLine(agent)}" ${listed('there are', namesOf(all))}.${hint === undefined ? '' : ` Did you mean "${hint}"?`}`,
  );
}

const namesOf = (all: readonly FoundCard[]) => all.map(({ name }) => oneLine(name));

function places(address: URL): URL[] {
  if (address.pathname.endsWith('.json')) return [address];
  return [...wellKnown.map((path) => below(address, path)), ...(address.pathname === '/' ? [] : [address])];
}

/** An address at which requests are taken, where the card is only at the server's root. */
async function cardOfServer(address: URL, options: FindOptions): Promise<FoundCard | undefined> {
  if (address.pathname === '/') return undefined;
  for (const path of wellKnown) {
    const url = new URL(path, address.origin);
    const found = readCard(await json(url, options), url);
    const takes = found?.card.supportedInterfaces.some((each) => new URL(each.url).pathname === address.pathname);
    if (takes) return found;
  }
  return undefined;
}

/** Where a Hector has `/agents`. */
function serverOf(address: URL): URL {
  const url = new URL(address);
  url.pathname = url.pathname.replace(/\/(\.well-known\/[^/]+|agents(\/.*)?)$/, '/');
  return url;
}

function below(address: URL, path: string): URL {
  const url = new URL(address);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`;
  return url;
}

/** `undefined` where there is no JSON to be had. */
async function json(url: URL, { fetch, signal }: FindOptions): Promise<unknown> {
  const late = AbortSignal.timeout(readMs);
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/json', 'A2A-Version': '1.0' },
      signal: AbortSignal.any([signal, late]),
    });
    if (!response.ok) {
      await response.body?.cancel();
      if (notThere.has(response.status)) return undefined;
      throw new HectorError('remote_failed', `${shown(url)} answers with the status ${response.status}.`);
    }
    return parsed(await bounded(response, url));
  } catch (error) {
    if (signal.aborted || !late.aborted) throw error;
    throw new HectorError('remote_unreachable', `${shown(url)} has not answered within ${readMs / 1_000} s.`);
  }
}

async function bounded(response: Response, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new HectorError('remote_card', `${shown(url)} is too large for an agent card.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A web page is not a card, and none of what a web server says about that. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
