import { Ajv } from 'ajv';
import { type Agent, type AgentEvent, type Message, silentLogger, type Task } from '../../core/index.ts';
import plugin from '../../plugins/agents/workflow/index.ts';
import type { Run } from './agents.ts';

export type Kind = 'sequential' | 'parallel' | 'loop';

/** A workflow of these agents, made as the core makes it: by its plugin, from checked options. */
export function workflowAgent(
  kind: Kind,
  agents: Readonly<Record<string, Agent | Run>>,
  written: Readonly<Record<string, unknown>> = {},
): Agent {
  const extension = plugin.provides.find(({ name }) => name === kind);
  if (extension?.point !== 'agent') throw new Error(`There is no workflow ${kind}.`);
  const options = { sub_agents: Object.keys(agents), ...structuredClone(written) };
  const ajv = new Ajv({ useDefaults: true, strict: false, allErrors: true });
  if (!ajv.validate(extension.options, options)) throw new Error(ajv.errorsText());
  return extension.create(options, {
    name: 'subject',
    logger: silentLogger,
    signal: new AbortController().signal,
    warn: () => {},
    llm: () => {
      throw new Error('A workflow has no model.');
    },
    agent: (name: string) => {
      const agent = agents[name];
      if (!agent) throw new Error(`There is no agent ${name}.`);
      return typeof agent === 'function' ? { run: agent } : agent;
    },
    agentDescription: () => undefined,
    documentStores: new Map(),
    tools: () => [],
  } as Parameters<typeof extension.create>[1]) as Agent;
}

/** The task as the engine has it after a run: with the artifacts of the events, its question, and the reply to that. */
export function continued(task: Task, events: readonly AgentEvent[], reply: Message): Task {
  const artifacts = new Map(task.artifacts.map((artifact) => [artifact.artifactId, artifact]));
  for (const event of events) {
    if (event.type !== 'artifact') continue;
    const { artifact, append = false } = event;
    const known = append ? artifacts.get(artifact.artifactId) : undefined;
    artifacts.set(artifact.artifactId, known ? { ...known, parts: [...known.parts, ...artifact.parts] } : artifact);
  }
  const last = events.at(-1);
  const parts = last?.type === 'input_required' || last?.type === 'auth_required' ? last.parts : [];
  const question: Message = { messageId: `question-${task.history.length}`, role: 'ROLE_AGENT', parts };
  return { ...task, artifacts: [...artifacts.values()], history: [...task.history, question, reply] };
}

/** Asks with the first message of its work, and says what it was answered. */
export const asking = (question: string): Run =>
  async function* ask(message, { task }) {
    const asked = task.history.at(-2);
    const words = message.parts.map((part) => ('text' in part ? part.text : '')).join(' ');
    if (asked?.role === 'ROLE_AGENT') yield { type: 'text', delta: `answered ${words}` };
    else yield { type: 'input_required', parts: [{ text: question }] };
  };
