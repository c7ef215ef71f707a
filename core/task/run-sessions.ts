import { errorCode } from '../errors.ts';
import type { Session } from '../extension/agent.ts';
import type { RecentMessages, SessionAppend, SessionKey, SessionStore } from '../extension/storage-backend.ts';
import type { ChatMessage } from '../message.ts';

export interface RunSessionsOptions {
  readonly owner: string;
  readonly contextId: string;
  /** Throws when the task is over. */
  store(agent: string): SessionStore;
  /** The store is away, and the run is to go on without the earlier conversation. Absent: it is not. */
  readonly onAway?: ((error: unknown) => void) | undefined;
}

/**
 * The conversations of one run. What the run adds is part of them for itself at once, and for all others when the task has
 * ended: both are then written together.
 */
export class RunSessions {
  readonly #options: RunSessionsOptions;
  readonly #added = new Map<string, ChatMessage[]>();

  constructor(options: RunSessionsOptions) {
    this.#options = options;
  }

  /** What was added, to be written. */
  get appends(): readonly SessionAppend[] {
    return Array.from(this.#added, ([agent, messages]) => ({ key: this.#key(agent), messages }));
  }

  of(agent: string): Session {
    const added = () => this.#added.get(agent) ?? [];
    const store = () => this.#options.store(agent);
    return {
      history: async () => {
        const kept = await this.#whileAway([], () => store().history(this.#key(agent)));
        return [...kept, ...added()];
      },
      recent: async (limit, before) => {
        const read = (most: number) => this.#whileAway(none, () => recent(store(), this.#key(agent), most, before));
        if (before !== undefined) return read(limit);
        const own = added();
        const kept = await read(Math.max(1, limit - own.length));
        return { first: kept.first || (own.length > 0 ? 1 : 0), messages: [...kept.messages, ...own] };
      },
      append: async (messages) => {
        // Throws when the task is over.
        store();
        const own = this.#added.get(agent);
        if (own) own.push(...messages);
        else if (messages.length > 0) this.#added.set(agent, [...messages]);
      },
    };
  }

  #key(agent: string): SessionKey {
    const { owner, contextId } = this.#options;
    return { owner, agent, contextId };
  }

  async #whileAway<T>(otherwise: T, read: () => Promise<T>): Promise<T> {
    const { onAway } = this.#options;
    try {
      return await read();
    } catch (error) {
      if (!onAway || errorCode(error) !== 'storage_unavailable') throw error;
      onAway(error);
      return otherwise;
    }
  }
}

const none: RecentMessages = { first: 0, messages: [] };

async function recent(store: SessionStore, key: SessionKey, limit: number, before?: number): Promise<RecentMessages> {
  if (store.recent) return store.recent(key, limit, before);
  const messages = (await store.history(key)).slice(0, before === undefined ? undefined : before - 1);
  return { first: messages.length > 0 ? 1 : 0, messages };
}

/** A conversation that lasts as long as the run: its caller keeps it himself. */
export function broughtAlong(history: readonly ChatMessage[]): Session {
  const messages = [...history];
  return {
    history: async () => [...messages],
    append: async (more) => void messages.push(...more),
  };
}
