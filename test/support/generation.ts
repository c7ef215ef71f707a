import { Ajv } from 'ajv';
import { Type } from 'typebox';
import type { Message } from '../../core/a2a.ts';
import type { AgentConfig } from '../../core/config/language/agent.ts';
import { fixedSections, type HectorConfig } from '../../core/config/language/hector.ts';
import { Secrets } from '../../core/config/secrets.ts';
import type { Agent } from '../../core/extension/agent.ts';
import type { Principal } from '../../core/extension/auth-scheme.ts';
import type { StorageBackend } from '../../core/extension/storage-backend.ts';
import { silentLogger } from '../../core/logger.ts';
import type { Extension } from '../../core/plugin/definition.ts';
import { Generation, type ServedAgent } from '../../core/runtime/generation.ts';
import { Scope } from '../../core/runtime/scope.ts';
import type { SendRequest, TaskCaller } from '../../core/task/executions.ts';
import inmemory from '../../plugins/storage/inmemory.ts';

type Tree = { readonly [key: string]: Tree | string | number | boolean };

/** Fills in what the configuration language says where a document says nothing. */
const defaults = new Ajv({ useDefaults: true, strict: false });
const complete = defaults.compile(Type.Object(fixedSections));

/** A fresh backend of the built-in kind; options that are left out have their defaults. */
export function inmemoryStorage(options: Tree = {}): StorageBackend {
  const [extension] = inmemory.provides as [Extension<'storage'>];
  const checked = { ...options };
  if (!defaults.validate(extension.options, checked)) throw new Error(defaults.errorsText());
  const context = { name: 'inmemory', logger: silentLogger, signal: new AbortController().signal, warn() {} };
  return extension.create(checked, context) as StorageBackend;
}

export interface GenerationParts {
  readonly agents: Readonly<Record<string, Agent['run']>>;
  readonly server?: Tree;
  readonly storage?: StorageBackend;
  /** The `storage` section of the configuration. */
  readonly keeping?: Tree;
  /** Whether the agents go on from checkpoints. */
  readonly resumable?: boolean;
  readonly secrets?: readonly string[];
  readonly id?: number;
  readonly onDispose?: () => void;
}

/** A generation of agents that are given as what they do. */
export function generation(parts: GenerationParts): Generation {
  const config: Record<string, unknown> = { server: parts.server ?? {}, storage: parts.keeping ?? {} };
  if (!complete(config)) throw new Error(defaults.errorsText(complete.errors));
  const storage = parts.storage ?? inmemoryStorage();
  const scope = new Scope();
  if (parts.onDispose) scope.defer(parts.onDispose);
  const id = parts.id ?? 1;
  return new Generation(
    id,
    {
      config: config as HectorConfig,
      hash: `hash-${id}`,
      source: 'test',
      revision: String(id),
      secrets: new Secrets(parts.secrets ?? []),
      agents: new Map(Object.entries(parts.agents).map(([name, run]) => [name, served(name, run, parts.resumable)])),
      authSchemes: new Map(),
      tasks: storage,
      sessions: storage,
    },
    scope,
  );
}

function served(name: string, run: Agent['run'], resumable = false): ServedAgent {
  const config: AgentConfig = {
    type: 'test',
    enabled: true,
    visibility: 'public',
    input_modes: ['*/*'],
    output_modes: [],
    streaming: true,
  };
  return { name, config, agent: { run, resumable } };
}

export interface Sent {
  readonly agent?: string;
  readonly owner?: string;
  readonly text?: string;
  readonly messageId?: string;
  readonly contextId?: string;
  readonly taskId?: string;
  readonly streaming?: boolean;
}

let messages = 0;

/** A message as the HTTP side hands it over; `ada` sends it to the only agent unless told otherwise. */
export function request(of: Generation, sent: Sent = {}): SendRequest {
  const { agents } = of.contents;
  const agent = sent.agent === undefined ? [...agents.values()][0] : agents.get(sent.agent);
  if (!agent) throw new Error(`No agent ${sent.agent}`);
  const { contextId, taskId } = sent;
  const message: Message = {
    messageId: sent.messageId ?? `message-${++messages}`,
    role: 'ROLE_USER',
    parts: [{ text: sent.text ?? 'hello' }],
    ...(contextId === undefined ? {} : { contextId }),
    ...(taskId === undefined ? {} : { taskId }),
  };
  const principal: Principal = { subject: sent.owner ?? 'ada', scopes: [], claims: {} };
  return { lease: of.lease('request'), agent, message, principal, streaming: sent.streaming ?? true };
}

export function caller(of: Generation, who: { readonly owner?: string; readonly agent?: string } = {}): TaskCaller {
  const [first = ''] = of.contents.agents.keys();
  return { owner: who.owner ?? 'ada', agent: who.agent ?? first, lease: of.lease('request') };
}
