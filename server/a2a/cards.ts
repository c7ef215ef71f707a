import { createHash } from 'node:crypto';
import type { Generation, ServedAgent } from '../../core/runtime/generation.ts';
import { agentCard, hybridCard } from './card.ts';

/** A JSON document that is ready to be sent: as text, which Node puts into one write with the headers. */
export interface Document {
  readonly text: string;
  readonly etag: string;
}

/** What is shown under one origin: the cards, and the lists by the name of those who may see them. */
interface Shelf {
  readonly cards: Map<ServedAgent, Document>;
  readonly lists: Map<string, Document>;
}

/** Origins are taken from the Host header where no public URL is configured, and anybody can send any. */
const maxOrigins = 64;

/** Cards and lists of cards, kept for as long as their generation lives: nothing in them changes within it. */
export class Cards {
  readonly #shelves = new WeakMap<Generation, Map<string, Shelf>>();

  /** A card that has been made already. */
  ready(generation: Generation, agent: ServedAgent, origin: string): Document | undefined {
    return this.#shelves.get(generation)?.get(origin)?.cards.get(agent);
  }

  async card(generation: Generation, agent: ServedAgent, origin: string): Promise<Document> {
    const { cards } = this.#shelf(generation, origin);
    return cards.get(agent) ?? keep(cards, agent, await hybridCard(agentCard(agent, generation.contents, origin)));
  }

  /** `agents` follows from the generation and `audience`. */
  async list(
    generation: Generation,
    audience: string,
    agents: readonly ServedAgent[],
    origin: string,
  ): Promise<Document> {
    const { lists } = this.#shelf(generation, origin);
    const known = lists.get(audience);
    if (known) return known;
    const cards = await Promise.all(agents.map((agent) => hybridCard(agentCard(agent, generation.contents, origin))));
    return keep(lists, audience, { agents: cards, total: cards.length });
  }

  #shelf(generation: Generation, origin: string): Shelf {
    let shelves = this.#shelves.get(generation);
    if (!shelves) {
      shelves = new Map();
      this.#shelves.set(generation, shelves);
    }
    let shelf = shelves.get(origin);
    if (!shelf) {
      const [oldest] = shelves.keys();
      if (shelves.size >= maxOrigins && oldest !== undefined) shelves.delete(oldest);
      shelf = { cards: new Map(), lists: new Map() };
      shelves.set(origin, shelf);
    }
    return shelf;
  }
}

function keep<K>(documents: Map<K, Document>, key: K, content: object): Document {
  const text = JSON.stringify(content);
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  const document = { text, etag };
  documents.set(key, document);
  return document;
}
