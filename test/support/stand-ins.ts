import { environmentOf } from '../../core/config/environment.ts';
import { ConfigError } from '../../core/config/issue.ts';
import { type LoadOptions, loadSnapshot, type Override } from '../../core/config/load.ts';
import type { Snapshot } from '../../core/config/snapshot.ts';
import {
  ApiKey,
  agentKind,
  authScheme,
  type ConfigDocument,
  configProvider,
  definePlugin,
  documentStore,
  llmProvider,
  type Plugin,
  reference,
  references,
  storageBackend,
  Type,
  toolset,
} from '../../core/index.ts';

/** Loading a configuration makes nothing of it, so these are never asked for an instance. */
const create = (): never => {
  throw new Error('a configuration was loaded, not built');
};

const hosted = (name: string, variable: string) =>
  llmProvider({
    name,
    description: `Models of ${name}`,
    options: Type.Object({
      model: Type.String({ default: `${name}-1` }),
      api_key: Type.String({ minLength: 1, writeOnly: true }),
      base_url: Type.Optional(Type.String({ format: 'uri' })),
      temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
      max_tokens: Type.Optional(Type.Integer({ minimum: 1 })),
      stop: Type.Optional(Type.Array(Type.String(), { maxItems: 4 })),
      headers: Type.Optional(Type.Record(Type.String(), Type.String())),
      thinking: Type.Optional(
        Type.Object({ enabled: Type.Boolean({ default: true }), budget_tokens: Type.Integer({ default: 1024 }) }),
      ),
      api: Type.Union([Type.Literal('chat'), Type.Literal('responses')], { default: 'chat' }),
    }),
    environment: { api_key: [variable], base_url: [`${name.toUpperCase()}_BASE_URL`] },
    create,
  });

/** Extensions with options like those of the real ones, in an order that is not that of preference. */
export const standIns: Plugin = definePlugin({
  apiVersion: 1,
  name: 'stand-ins',
  provides: [
    configProvider({
      name: 'file',
      description: 'A local file',
      options: Type.Object({ path: Type.String({ minLength: 1 }) }),
      create,
    }),
    configProvider({
      name: 'consul',
      description: 'A key of Consul',
      options: Type.Object({
        address: Type.String({ minLength: 1, default: '127.0.0.1:8500' }),
        key: Type.String({ minLength: 1 }),
        token: Type.Optional(Type.String({ writeOnly: true })),
      }),
      environment: { token: ['CONSUL_HTTP_TOKEN'] },
      create,
    }),
    llmProvider({
      name: 'echo',
      description: 'Repeats',
      options: Type.Object({ delay: Type.Optional(Type.String()) }),
      create,
    }),
    hosted('openai', 'OPENAI_API_KEY'),
    hosted('anthropic', 'ANTHROPIC_API_KEY'),
    llmProvider({
      name: 'ollama',
      description: 'Models of this machine',
      options: Type.Object({ model: Type.String({ default: 'llama' }), base_url: Type.Optional(Type.String()) }),
      create,
    }),
    storageBackend({ name: 'inmemory', description: 'Forgets', options: Type.Object({}), create }),
    authScheme({
      name: 'api-key',
      description: 'A key in a header',
      options: Type.Object({
        keys: Type.Array(ApiKey, { minItems: 1 }),
        header: Type.String({ default: 'x-api-key' }),
      }),
      create,
    }),
    authScheme({
      name: 'jwt',
      description: 'Tokens of an identity provider',
      options: Type.Object({
        jwks_url: Type.String({ format: 'uri' }),
        issuer: Type.Optional(Type.String()),
        audience: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
        refresh_interval: Type.String({ default: '10m', pattern: '^[0-9]+(s|m|h)$', 'x-format': 'duration' }),
      }),
      create,
    }),
    toolset({
      name: 'function',
      description: 'Functions of a module',
      options: Type.Object({ handler: Type.String({ minLength: 1 }), settings: Type.Optional(Type.Unknown()) }),
      create,
    }),
    toolset({
      name: 'search',
      description: 'Searches documents',
      options: Type.Object({}),
      uses: ['document_store'],
      create,
    }),
    documentStore({
      name: 'directory',
      description: 'Files of a folder',
      options: Type.Object({
        path: Type.String({ minLength: 1 }),
        include: Type.Optional(Type.Array(Type.String())),
        max_files: Type.Integer({ minimum: 1, default: 1000, multipleOf: 10 }),
      }),
      create,
    }),
    agentKind({
      name: 'llm',
      description: 'A model with tools',
      options: Type.Object({
        llm: reference('llm', 'The model'),
        instruction: Type.Optional(Type.String()),
        tools: references('tool', 'The tools'),
        document_stores: references('document_store', 'What it may search'),
        agent_tools: references('agent', 'Agents it may call'),
        reasoning: Type.Object({ max_iterations: Type.Integer({ minimum: 1, default: 100 }) }, { default: {} }),
        turns: Type.Optional(Type.Array(Type.Integer())),
      }),
      create,
    }),
    agentKind({ name: 'fixed', description: 'Says one thing', options: Type.Object({ text: Type.String() }), create }),
  ],
});

export interface LoadWish {
  readonly environment?: Readonly<Record<string, string>>;
  readonly overrides?: readonly Override[];
  readonly builtins?: readonly Plugin[];
  /** `null`: a remote document. */
  readonly folder?: string | null;
  readonly local?: ConfigDocument;
  readonly format?: 'auto' | 'yaml' | 'json';
}

export function load(text: string, wish: LoadWish = {}): Promise<Snapshot> {
  const folder = wish.folder === undefined ? import.meta.dirname : wish.folder;
  return loadDocument({ text, source: 'hector.yaml', revision: '1', ...(folder === null ? {} : { folder }) }, wish);
}

/** Of a document that is in entries, or somewhere else. */
export function loadDocument(document: ConfigDocument, wish: LoadWish = {}): Promise<Snapshot> {
  return loadSnapshot(document, optionsOf(wish));
}

export function optionsOf({
  builtins = [standIns],
  environment = {},
  overrides,
  local,
  format,
}: LoadWish): LoadOptions {
  return {
    builtins,
    environment: environmentOf(environment),
    ...(overrides && { overrides }),
    ...(local && { local }),
    ...(format && { format }),
  };
}

/** Every error of a configuration, as it is shown. Fails if there is none. */
export async function problems(text: string, wish?: LoadWish): Promise<string[]> {
  return (await failureOf(load(text, wish))).message.split('\n');
}

/** What a configuration is refused with. Fails if it is accepted. */
export async function failureOf(loading: Promise<unknown>): Promise<ConfigError> {
  try {
    await loading;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}
