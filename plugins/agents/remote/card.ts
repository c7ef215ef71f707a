import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { errorMessage, HectorError, type Logger } from '../../../core/index.ts';
import { type Connection, excuse, type Opened, statusSentence } from './connection.ts';
import { type Endpoint, type EndpointOptions, endpointOf } from './endpoint.ts';
import { failure, RemoteFailure } from './failure.ts';
import type { RemoteAgentOptions } from './options.ts';
import { pause, settledWithin } from './pause.ts';

/** The agent card, as long as it may be used. */
export interface CardSource extends AsyncDisposable {
  /** Fetches the card if there is none that is fresh: once for all who wait. */
  endpoint(): Promise<Endpoint>;
  /** The card is fetched again when next needed: what it says did not work. */
  doubt(): void;
}

export interface CardOptions {
  readonly name: string;
  readonly options: RemoteAgentOptions;
  readonly folder: string | undefined;
  readonly connection: Connection;
  readonly timeoutMs: number;
  readonly logger: Logger;
}

const maxCard = 1024 ** 2;
const freshMs = { default: 300_000, least: 10_000, most: 3_600_000 };
/** How long beyond that a card is used while it cannot be fetched. */
const staleMs = 3_600_000;
const retries = [250, 1_000];

export async function cardSource(given: CardOptions): Promise<CardSource> {
  const { name, options, connection } = given;
  const { url, agent_card_url: cardUrl, agent_card_file: cardFile, transport, headers = {} } = options;
  const reading = (where: string | undefined): EndpointOptions => ({
    name,
    connection,
    transport,
    url: cardUrl !== undefined || cardFile !== undefined ? url : undefined,
    confidant: Object.keys(headers).length > 0 ? where : undefined,
  });
  if (cardFile !== undefined) {
    const endpoint = await endpointOf(await textOf(cardFile, given), cardFile, reading(undefined));
    // The file is part of the configuration, and so is what it names.
    connection.configure(endpoint.url);
    return { endpoint: async () => endpoint, doubt() {}, async [Symbol.asyncDispose]() {} };
  }
  const places = cardUrl === undefined ? wellKnown(url ?? '') : [cardUrl];
  return fetchedCard(places, given, (text, where) => endpointOf(text, where, reading(where)));
}

/** The second is where the card was before version 0.3. */
function wellKnown(url: string): readonly string[] {
  return ['agent-card.json', 'agent.json'].map((file) => {
    const place = new URL(url);
    place.pathname = `${place.pathname.replace(/\/+$/, '')}/.well-known/${file}`;
    place.hash = '';
    return place.href;
  });
}

async function textOf(file: string, { name, folder }: CardOptions): Promise<string> {
  const refuse = (what: string, options?: ErrorOptions) =>
    new HectorError('invalid_options', `agents.${name}: agent_card_file ${what}`, options);
  if (folder === undefined && !isAbsolute(file)) {
    throw refuse(`"${file}" is relative, and this configuration does not come from a folder that it could start from`);
  }
  try {
    const text = await readFile(resolve(folder ?? '/', file), 'utf8');
    if (text.length <= maxCard) return text;
  } catch (cause) {
    throw refuse(`cannot be read: ${errorMessage(cause)}`, { cause });
  }
  throw refuse(`"${file}" is larger than 1 MiB`);
}

interface Held {
  readonly endpoint: Endpoint;
  readonly etag: string | null;
  readonly where: string;
}

type Make = (text: string, where: string) => Promise<Endpoint>;

function fetchedCard(places: readonly string[], given: CardOptions, make: Make): CardSource {
  const { connection, timeoutMs, logger } = given;
  const closed = new AbortController();
  let held: Held | undefined;
  let freshUntil = Number.NEGATIVE_INFINITY;
  let usableUntil = Number.NEGATIVE_INFINITY;
  let fetching: Promise<Endpoint> | undefined;

  const keep = (card: Held, cacheControl: string | null): Endpoint => {
    const age = freshness(cacheControl);
    held = card;
    freshUntil = performance.now() + age;
    usableUntil = freshUntil + staleMs;
    return card.endpoint;
  };

  async function ask(where: string, signal: AbortSignal): Promise<Endpoint | undefined> {
    const known = held?.where === where && held.etag !== null ? { 'if-none-match': held.etag } : {};
    const headers = { accept: 'application/json', 'a2a-version': '1.0', ...known };
    const opened = await connection.open(where, { headers, signal });
    const { status } = opened;
    const cacheControl = opened.headers.get('cache-control');
    if (status === 304 && held) {
      await opened.body.cancel();
      return keep(held, cacheControl);
    }
    if (status === 404 && where !== places.at(-1)) {
      await opened.body.cancel();
      return undefined;
    }
    if (status !== 200) throw refused(where, opened, await excuse(opened));
    const endpoint = await make(await opened.text(maxCard), where);
    return keep({ endpoint, etag: opened.headers.get('etag'), where }, cacheControl);
  }

  const refused = (where: string, opened: Opened, text: string) =>
    failure(given, 'status', `${where} ${statusSentence(opened, text)}`);

  async function askEach(): Promise<Endpoint> {
    const { host } = new URL(places[0] ?? '');
    const late = () =>
      failure(given, 'silent', `${host} has not sent its card within ${timeoutMs / 1_000} s (timeout)`);
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(late()), Math.min(timeoutMs, 2 ** 31 - 1));
    const close = () => limit.abort(closed.signal.reason);
    closed.signal.addEventListener('abort', close, { once: true });
    try {
      closed.signal.throwIfAborted();
      for (const where of places) {
        const endpoint = await ask(where, limit.signal);
        if (endpoint) return endpoint;
      }
      throw failure(given, 'status', `${host} has no agent card at ${places.join(' or ')}`);
    } finally {
      clearTimeout(timer);
      closed.signal.removeEventListener('abort', close);
    }
  }

  async function refresh(): Promise<Endpoint> {
    try {
      for (const pauseMs of retries) {
        try {
          return await askEach();
        } catch (error) {
          if (!isPassing(error)) throw error;
          await pause(pauseMs, closed.signal);
        }
      }
      return await askEach();
    } catch (error) {
      if (!held || closed.signal.aborted || performance.now() > usableUntil) throw error;
      logger.warn({ error: errorMessage(error) }, 'the agent card cannot be fetched; the one from before is used');
      return held.endpoint;
    }
  }

  return {
    async endpoint() {
      if (held && performance.now() < freshUntil) return held.endpoint;
      fetching ??= refresh().finally(() => {
        fetching = undefined;
      });
      return fetching;
    },
    doubt() {
      freshUntil = Number.NEGATIVE_INFINITY;
    },
    async [Symbol.asyncDispose]() {
      closed.abort(
        new HectorError('closed', `The remote agent "${given.name}" is closed: its configuration was replaced.`),
      );
      if (fetching) await settledWithin(1_000, fetching);
    },
  };
}

/** Whether it may be over in a moment. */
function isPassing(error: unknown): boolean {
  return error instanceof RemoteFailure && (error.kind === 'refused' || error.kind === 'broken');
}

function freshness(cacheControl: string | null): number {
  const maxAge = /(?:^|[\s,])max-age=([0-9]+)/i.exec(cacheControl ?? '')?.[1];
  if (/(?:^|[\s,])no-(?:store|cache)\b/i.test(cacheControl ?? '')) return freshMs.least;
  if (maxAge === undefined) return freshMs.default;
  return Math.min(Math.max(Number(maxAge) * 1_000, freshMs.least), freshMs.most);
}
