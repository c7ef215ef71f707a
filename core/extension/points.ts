import type { DocumentStoreSettings } from '../config/language/document-store.ts';
import type { Logger } from '../logger.ts';
import type { Outbound } from '../net/outbound.ts';
import type { Agent } from './agent.ts';
import type { AuthScheme } from './auth-scheme.ts';
import type { ConfigProvider } from './config-provider.ts';
import type { DocumentStore } from './document-store.ts';
import type { LlmProvider } from './llm-provider.ts';
import type { SecretStore } from './secret-store.ts';
import type { StorageBackend } from './storage-backend.ts';
import type { Tool, Toolset } from './toolset.ts';

export interface ExtensionContext {
  /** The name that the configuration gives this instance. */
  readonly name: string;
  readonly logger: Logger;
  /** Aborts if the generation being built is given up. */
  readonly signal: AbortSignal;
  /** The folder that relative paths in the options start from; absent for a remote document. */
  readonly folder?: string;
  /** Tells the user, once, of something that works but is likely not meant. Shown by `validate` and at start. */
  warn(message: string): void;
}

/** Of what may go where others say: a model, a caller, another server. */
export interface OutboundContext extends ExtensionContext {
  /** The one way there: it refuses what `server.outbound` does not allow. An instance is made anew when that changes. */
  readonly outbound: Outbound;
}

export interface ToolsetContext extends OutboundContext {
  /** The document stores that the agent asking may read; empty unless the extension `uses` them. */
  readonly documentStores: ReadonlyMap<string, DocumentStore>;
}

export interface DocumentStoreContext extends OutboundContext {
  /** What the configuration says beside `source`: watch, chunking, search. */
  readonly settings: DocumentStoreSettings;
}

export interface StorageContext extends ExtensionContext {
  /** `false`: the schema is left as it is, whatever it is. */
  readonly migrate?: boolean;
}

/** What an agent may ask for, by the names that its options refer to. Asking for any other name throws. */
export interface AgentDependencies {
  llm(name: string): LlmProvider;
  agent(name: string): Agent;
  /** What the configuration says that the agent is for: its `description`, else its display name. */
  agentDescription(name: string): string | undefined;
  /** The stores that the agent's `document_stores` names: all there are when it is absent. */
  readonly documentStores: ReadonlyMap<string, DocumentStore>;
  /**
   * The tools that the agent's options name, as they are now; no two of one name.
   * Asked for each message, since the tools of a remote server may change.
   */
  tools(signal: AbortSignal): Promise<readonly Tool[]> | readonly Tool[];
}

/** The extension points: the instance that `create` returns and what it is given. */
export interface ExtensionPoints {
  config: { instance: ConfigProvider; context: ExtensionContext };
  llm: { instance: LlmProvider; context: ExtensionContext };
  storage: { instance: StorageBackend; context: StorageContext };
  auth: { instance: AuthScheme; context: ExtensionContext };
  toolset: { instance: Toolset; context: ToolsetContext };
  document_store: { instance: DocumentStore; context: DocumentStoreContext };
  agent: { instance: Agent; context: OutboundContext & AgentDependencies };
  secret: { instance: SecretStore; context: ExtensionContext };
}

export type PointName = keyof ExtensionPoints;

export interface PointPlace {
  /** What a person calls one of its extensions. */
  readonly noun: string;
  /** Where the configuration mentions instances: `llms.*`. */
  readonly section: string;
  /** The key of an instance's options that names the extension. */
  readonly selector: string;
}

/** Where the configuration mentions each point. A point left out here does not compile. */
export const points: Readonly<Record<PointName, PointPlace>> = {
  config: { noun: 'config provider', section: 'config', selector: 'provider' },
  llm: { noun: 'LLM provider', section: 'llms', selector: 'provider' },
  storage: { noun: 'storage backend', section: 'databases', selector: 'driver' },
  auth: { noun: 'auth scheme', section: 'server.auth.schemes', selector: 'type' },
  toolset: { noun: 'tool type', section: 'tools', selector: 'type' },
  document_store: { noun: 'document source', section: 'document_stores', selector: 'source.type' },
  agent: { noun: 'agent type', section: 'agents', selector: 'type' },
  secret: { noun: 'secret store', section: 'secrets', selector: 'type' },
};
