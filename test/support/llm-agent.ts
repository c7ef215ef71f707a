import { Ajv } from 'ajv';
import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type DocumentStore,
  errorMessage,
  type LlmProvider,
  type Message,
  type Static,
  silentLogger,
  type Tool,
  type ToolContext,
  type ToolResult,
  type Usage,
} from '../../core/index.ts';
import plugin from '../../plugins/agents/llm/index.ts';
import { LlmAgentOptions } from '../../plugins/agents/llm/options.ts';
import { agentContext, userText } from '../conformance/agent.ts';

export interface LlmAgentSetup {
  readonly llm: LlmProvider;
  /** As a person writes them: defaults are filled in. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly tools?: readonly Tool[];
  readonly documentStores?: Readonly<Record<string, DocumentStore>>;
  readonly onWarning?: (message: string) => void;
  /** Those that `agent_tools` and `sub_agents` may name: with them the agent is made asynchronously, so it is awaited. */
  readonly agents?: Readonly<Record<string, Agent>>;
  readonly name?: string;
}

/** Options with their defaults, or an error with what the schema says of them. */
export function llmAgentOptions(written: Readonly<Record<string, unknown>>): Static<typeof LlmAgentOptions> {
  const ajv = new Ajv({ useDefaults: true, strict: false, allErrors: true });
  const options = structuredClone({ llm: 'main', ...written });
  if (!ajv.validate(LlmAgentOptions, options)) throw new Error(ajv.errorsText());
  return options as Static<typeof LlmAgentOptions>;
}

/** The `llm` agent, made as the core makes it: by its plugin, from checked options. */
export function llmAgent({
  llm,
  options = {},
  tools = [],
  documentStores = {},
  onWarning,
  agents = {},
  name = 'subject',
}: LlmAgentSetup): Agent {
  const [extension] = plugin.provides;
  if (extension?.point !== 'agent') throw new Error('The plugin provides no agent.');
  return extension.create(llmAgentOptions(options), {
    name,
    logger: silentLogger,
    signal: new AbortController().signal,
    warn: (message: string) => onWarning?.(message),
    llm: () => llm,
    agent: (wanted: string) => {
      const found = agents[wanted];
      if (!found) throw new Error(`There is no agent "${wanted}".`);
      return found;
    },
    agentDescription: (wanted: string) => `What ${wanted} does`,
    documentStores: new Map(Object.entries(documentStores)),
    tools: async () => tools,
  } as Parameters<typeof extension.create>[1]) as Agent;
}

export interface Answer {
  /** Without what the model calls have cost. */
  readonly events: readonly AgentEvent[];
  readonly usage: readonly Usage[];
  readonly text: string;
  /** The message of what was thrown. */
  readonly error: string | undefined;
}

/** Runs one message to its end, which may be an error. */
export async function answer(
  agent: Agent,
  message: Message | string,
  given: Partial<AgentContext> = {},
): Promise<Answer> {
  const events: AgentEvent[] = [];
  let error: string | undefined;
  try {
    const sent = typeof message === 'string' ? userText(message) : message;
    for await (const event of agent.run(sent, agentContext(given))) events.push(event);
  } catch (thrown) {
    error = errorMessage(thrown);
  }
  return {
    events: events.filter(({ type }) => type !== 'usage'),
    usage: events.flatMap((event) => (event.type === 'usage' ? [event.usage] : [])),
    text: events.map((event) => (event.type === 'text' ? event.delta : '')).join(''),
    error,
  };
}

/** A tool without parameters, unless it says so. */
export function tool(
  name: string,
  execute: (args: Record<string, unknown>, context: ToolContext) => Promise<ToolResult> | ToolResult,
  properties: Record<string, unknown> = {},
): Tool {
  const parameters = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
  return { name, description: `The tool ${name}`, parameters, execute };
}
