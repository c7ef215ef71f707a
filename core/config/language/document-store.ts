import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { coming, comingSection, section } from './common.ts';

/** What every document store has, wherever its documents come from; handed to `create` beside the options of `source`. */
export const documentStoreCommon = {
  watch: Type.Boolean({ default: false, description: 'Follow changes of the source' }),
  chunking: section(
    {
      strategy: Type.Optional(
        coming(Type.Enum(['simple', 'overlapping', 'semantic']), 'other ways of cutting than by size'),
      ),
      size: Type.Integer({ minimum: 100, default: 1000, description: 'Characters in a passage' }),
      overlap: Type.Integer({ minimum: 0, default: 0, description: 'Characters that neighbouring passages share' }),
      min_size: Type.Optional(coming(Type.Integer(), 'the smallest passage')),
      max_size: Type.Optional(coming(Type.Integer(), 'the largest passage')),
      preserve_words: Type.Boolean({ default: true, description: 'Cut between words' }),
    },
    'How documents are cut into passages',
  ),
  search: section(
    {
      top_k: Type.Integer({
        minimum: 1,
        maximum: 50,
        default: 10,
        description: 'Hits a search returns unless asked otherwise',
      }),
      threshold: Type.Optional(
        coming(Type.Number({ minimum: 0, maximum: 1 }), 'similarity below which a hit is dropped'),
      ),
      enable_hyde: Type.Optional(coming(Type.Boolean(), 'query expansion')),
      hyde_llm: Type.Optional(coming(Type.String(), 'query expansion')),
      enable_rerank: Type.Optional(coming(Type.Boolean(), 'reranking')),
      rerank_llm: Type.Optional(coming(Type.String(), 'reranking')),
      rerank_max_results: Type.Optional(coming(Type.Integer(), 'reranking')),
      enable_multi_query: Type.Optional(coming(Type.Boolean(), 'several queries for one question')),
      multi_query_llm: Type.Optional(coming(Type.String(), 'several queries for one question')),
      multi_query_count: Type.Optional(coming(Type.Integer(), 'several queries for one question')),
    },
    'How the store answers',
  ),
  vector_store: Type.Optional(coming(Type.String(), 'vector search; until then the embedded full-text index answers')),
  embedder: Type.Optional(coming(Type.String(), 'vector search; until then the embedded full-text index answers')),
  collection: Type.Optional(coming(Type.String(), 'the name of the collection in a vector store')),
  incremental_indexing: Type.Optional(coming(Type.Boolean(), 'keeping the index on disk')),
  indexing: comingSection('limits of indexing'),
  mcp_parsers: comingSection('parsing documents by MCP tools'),
};

export const DocumentStoreConfig = Type.Object({
  source: Type.Object({ type: Type.String() }, { additionalProperties: true }),
  ...documentStoreCommon,
});
export type DocumentStoreConfig = Static<typeof DocumentStoreConfig>;

/** The part of a document store's configuration that does not depend on its source. */
export type DocumentStoreSettings = Omit<DocumentStoreConfig, 'source'>;
