import {
  type DocumentStore,
  definePlugin,
  errorMessage,
  type SearchHit,
  type Tool,
  Type,
  toolset,
} from '../../core/index.ts';

interface Result extends SearchHit {
  readonly store: string;
}

const maxHits = 50;
/** What one answer may hold: a model reads all of it, and pays for it. */
const maxPassage = 4_000;
const maxAnswer = 32_000;

/** One tool, `search`, over the document stores of the agent that is asking. */
export default definePlugin({
  apiVersion: 1,
  name: 'hector/tools-search',
  provides: [
    toolset({
      name: 'search',
      description: 'Searches the document stores',
      uses: ['document_store'],
      options: Type.Object({}, { additionalProperties: false }),
      create(_options, { name, documentStores, warn }) {
        if (documentStores.size === 0) {
          warn(
            `tools.${name}: there is no document store to search, so every search will answer just that. Add one under document_stores, or leave the tool out.`,
          );
        }
        const tools = Object.freeze([searchTool(documentStores)]);
        return { tools: async () => tools };
      },
    }),
  ],
});

function searchTool(stores: ReadonlyMap<string, DocumentStore>): Tool {
  const names = [...stores.keys()];
  const choice = Type.Array(Type.Enum(names), {
    minItems: 1,
    uniqueItems: true,
    description: 'The stores to search; leave out to search all of them',
  });
  const parameters = Type.Object(
    {
      query: Type.String({ minLength: 1, description: 'Words that the passages you look for contain' }),
      ...(names.length > 1 && { stores: Type.Optional(choice) }),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: maxHits, description: 'How many passages to return' })),
    },
    { additionalProperties: false },
  );
  return {
    name: 'search',
    description: `Searches the document stores by full text and returns the passages that fit best.${names.length > 0 ? ` Stores: ${names.join(', ')}.` : ''}`,
    parameters: JSON.parse(JSON.stringify(parameters)) as Record<string, unknown>,
    idempotent: true,
    execute: async (args, { signal, logger }) => {
      if (names.length === 0) return { results: [], note: 'Nothing was searched: no document store is configured.' };

      const { query, limit } = args as { query: string; limit?: number };
      const asked = (args['stores'] as readonly string[] | undefined) ?? names;
      const chosen = [...stores].filter(([store]) => asked.includes(store));
      const request = limit === undefined ? { query } : { query, limit };
      const answers = await Promise.allSettled(chosen.map(([, store]) => store.search(request, signal)));
      signal.throwIfAborted();

      const ranked: Result[][] = [];
      const failed: string[] = [];
      for (const [index, answer] of answers.entries()) {
        const store = chosen[index]?.[0] ?? '';
        if (answer.status === 'fulfilled') {
          ranked.push(answer.value.map((hit) => ({ store, ...hit })));
        } else {
          logger.warn({ err: answer.reason, store }, 'a document store could not be searched');
          failed.push(`${store} (${errorMessage(answer.reason)})`);
        }
      }
      if (failed.length === chosen.length)
        throw new Error(`No document store could be searched: ${failed.join(', ')}.`);

      const results = bounded(interleaved(ranked, limit ?? maxHits));
      const notes = [
        ...(results.length === 0 ? [`No passage fits "${query.slice(0, 200)}". Try other words.`] : []),
        ...(failed.length > 0 ? [`Not searched: ${failed.join(', ')}.`] : []),
      ];
      return notes.length > 0 ? { results, note: notes.join(' ') } : { results };
    },
  };
}

/** Every store's best, then every store's second: scores mean nothing across stores. */
function interleaved(ranked: readonly (readonly Result[])[], limit: number): Result[] {
  const deepest = Math.max(0, ...ranked.map((hits) => hits.length));
  const merged: Result[] = [];
  for (let rank = 0; rank < deepest; rank++) {
    for (const hits of ranked) {
      const hit = hits[rank];
      if (hit) merged.push(hit);
    }
  }
  return merged.slice(0, limit);
}

/** The best that fit. One hit is never left out for its length. */
function bounded(results: readonly Result[]): Result[] {
  const kept: Result[] = [];
  let room = maxAnswer;
  for (const { store, document, text, score } of results) {
    const passage = text.length > maxPassage ? `${text.slice(0, maxPassage)}…` : text;
    if (passage.length > room && kept.length > 0) break;
    room -= passage.length;
    kept.push({ store, document, text: passage, score: Math.round(score * 1000) / 1000 });
  }
  return kept;
}
