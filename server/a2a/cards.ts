import type { Generation, ServedAgent } from '../../core/runtime/generation.ts';
import { agentCard, type CardOptions, extendedCard, hybridCard } from './card.ts';
import { type CardSigner, cardSigner } from './card-signing.ts';
import { type Document, documentOf } from './document.ts';

/** What is shown under one origin: the cards, and the lists by the name of those who may see them. */
interface Shelf {
  readonly cards: Map<ServedAgent, Document>;
  readonly extended: Map<ServedAgent, Document>;
  readonly lists: Map<string, Document>;
  /** What is being made: signatures differ from one making to the next, and all who ask get the same. */
  readonly making: Map<string, Promise<Document>>;
}

interface Cabinet {
  readonly shelves: Map<string, Shelf>;
  readonly sign: CardSigner;
  /** Since when it is served, in seconds. */
  readonly since: number;
}

/** Origins are taken from the Host header where no public URL is configured, and anybody can send any. */
const maxOrigins = 64;

const unsigned: CardSigner = async (card) => card;

/** Cards and lists of cards, kept for as long as their generation lives: nothing in them changes within it. */
export class Cards {
  readonly #push: boolean;
  readonly #cabinets = new WeakMap<Generation, Cabinet>();
  #latest = 0;

  /** `push`: whether this server sends push notifications. */
  constructor({ push }: { readonly push: boolean }) {
    this.#push = push;
  }

  /** What goes into a card. */
  options({ contents }: Generation, origin: string): CardOptions {
    return { contents, origin, push: this.#push };
  }

  /** A card that has been made already. */
  ready(generation: Generation, agent: ServedAgent, origin: string): Document | undefined {
    return this.#cabinets.get(generation)?.shelves.get(origin)?.cards.get(agent);
  }

  async card(generation: Generation, agent: ServedAgent, origin: string): Promise<Document> {
    const shelf = this.#shelf(generation, origin);
    return (
      shelf.cards.get(agent) ??
      this.#make(shelf, `card ${agent.name}`, async () => {
        const { sign, since } = this.#cabinet(generation);
        const card = await hybridCard(agentCard(agent, this.options(generation, origin)));
        return keep(shelf.cards, agent, documentOf(JSON.stringify(await sign(card)), since));
      })
    );
  }

  /** Of an agent that has one: for authenticated callers only. */
  async extended(generation: Generation, agent: ServedAgent, origin: string): Promise<Document> {
    const shelf = this.#shelf(generation, origin);
    return (
      shelf.extended.get(agent) ??
      this.#make(shelf, `extended ${agent.name}`, async () => {
        const { sign, since } = this.#cabinet(generation);
        const card = await sign(extendedCard(agent, this.options(generation, origin)));
        return keep(shelf.extended, agent, documentOf(JSON.stringify(card), since));
      })
    );
  }

  /** `agents` follows from the generation and `audience`. */
  async list(
    generation: Generation,
    audience: string,
    agents: readonly ServedAgent[],
    origin: string,
  ): Promise<Document> {
    const shelf = this.#shelf(generation, origin);
    return (
      shelf.lists.get(audience) ??
      this.#make(shelf, `list ${audience}`, async () => {
        const cards = await Promise.all(agents.map((agent) => this.card(generation, agent, origin)));
        const text = `{"agents":[${cards.map((card) => card.text).join(',')}],"total":${cards.length}}`;
        return keep(shelf.lists, audience, documentOf(text, this.#cabinet(generation).since));
      })
    );
  }

  #make({ making }: Shelf, what: string, make: () => Promise<Document>): Promise<Document> {
    let document = making.get(what);
    if (!document) {
      document = make().finally(() => making.delete(what));
      making.set(what, document);
    }
    return document;
  }

  #cabinet(generation: Generation): Cabinet {
    let cabinet = this.#cabinets.get(generation);
    if (!cabinet) {
      const { card_signing: signing } = generation.contents.config.server;
      // A generation that follows within the second is newer all the same.
      this.#latest = Math.max(Math.floor(Date.now() / 1_000), this.#latest + 1);
      cabinet = { shelves: new Map(), sign: signing ? cardSigner(signing) : unsigned, since: this.#latest };
      this.#cabinets.set(generation, cabinet);
    }
    return cabinet;
  }

  #shelf(generation: Generation, origin: string): Shelf {
    const { shelves } = this.#cabinet(generation);
    let shelf = shelves.get(origin);
    if (!shelf) {
      const [oldest] = shelves.keys();
      if (shelves.size >= maxOrigins && oldest !== undefined) shelves.delete(oldest);
      shelf = { cards: new Map(), extended: new Map(), lists: new Map(), making: new Map() };
      shelves.set(origin, shelf);
    }
    return shelf;
  }
}

function keep<K>(documents: Map<K, Document>, key: K, document: Document): Document {
  documents.set(key, document);
  return document;
}
