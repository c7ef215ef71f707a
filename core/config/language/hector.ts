import type { Static } from 'typebox';
import { integrityPattern } from '../../plugin/integrity.ts';
import { Type } from '../../plugin/type.ts';
import type { AgentConfig } from './agent.ts';
import { Defaults } from './agent.ts';
import { comingSection } from './common.ts';
import type { ConfigSettings } from './config.ts';
import type { DocumentStoreConfig } from './document-store.ts';
import type { LlmConfig } from './llm.ts';
import { LoggerConfig } from './logger.ts';
import { ObservabilityConfig } from './observability.ts';
import { RateLimiting } from './rate-limiting.ts';
import { ServerConfig } from './server.ts';
import { StorageConfig } from './storage.ts';
import type { ToolConfig } from './tool.ts';

const PinnedPlugin = Type.Object({
  name: Type.String({ minLength: 1, description: 'The package, or the path of the module' }),
  integrity: Type.Optional(Type.String({ pattern: integrityPattern, description: 'What `hector info` prints' })),
});

/** The sections that do not depend on plugins. Those of the extension points are composed in (see config/schema.ts). */
export const fixedSections = {
  version: Type.Optional(Type.Enum(['2'], { description: 'Of the configuration language' })),
  name: Type.Optional(Type.String({ description: 'Of this Hector, in logs and cards' })),
  description: Type.Optional(Type.String()),
  plugins: Type.Array(Type.Union([Type.String({ minLength: 1 }), PinnedPlugin]), {
    default: [],
    description:
      'Packages and local modules that provide extensions: "@acme/hector-plugin-x", "./local.js", or `{name, integrity}`, which refuses any other code than the one with that hash (see plugins.md)',
  }),
  defaults: Defaults,
  server: ServerConfig,
  storage: StorageConfig,
  logger: LoggerConfig,
  observability: ObservabilityConfig,
  rate_limiting: RateLimiting,
  vector_stores: comingSection('vector search'),
  embedders: comingSection('vector search'),
  guardrails: comingSection('guardrails'),
};

const Fixed = Type.Object(fixedSections);

/** A configuration after validation: every default filled in, every reference resolved, every instance's selector set. */
export type HectorConfig = Static<typeof Fixed> & {
  readonly config?: ConfigSettings & Readonly<Record<string, unknown>>;
  readonly llms: Readonly<Record<string, LlmConfig>>;
  readonly agents: Readonly<Record<string, AgentConfig>>;
  readonly tools: Readonly<Record<string, ToolConfig>>;
  readonly document_stores: Readonly<Record<string, DocumentStoreConfig>>;
  readonly secrets: Readonly<Record<string, { readonly type: string } & Readonly<Record<string, unknown>>>>;
  readonly databases: Readonly<Record<string, { readonly driver: string } & Readonly<Record<string, unknown>>>>;
};
