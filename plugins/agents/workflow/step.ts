import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  type Message,
  type Part,
  type Task,
  TextBuilder,
} from '../../../core/index.ts';
import { transferPrefix } from '../control-tools.ts';
import { stepFailure } from './failure.ts';
import { stepTask, type Waiting } from './position.ts';
import type { Answer } from './request.ts';

type Host = ExtensionPoints['agent']['context'];

export interface Step {
  /** `2-writer`: unique in its workflow, also where an agent is there twice. */
  readonly id: string;
  readonly name: string;
  readonly agent: Agent;
}

export type StepResult =
  | { readonly answer: Answer }
  | { readonly question: 'input_required' | 'auth_required'; readonly parts: readonly Part[] };

interface StepWork {
  /** What the step is to do. */
  readonly request: Message;
  /** It has asked, and this is the answer. */
  readonly reply?: { readonly message: Message; readonly waiting: Waiting } | undefined;
  /** Whether its text is that of the workflow. Else it is an artifact of its own, named after it. */
  readonly speaks: boolean;
}

/** Text of an artifact that comes within so many milliseconds goes out together. */
const gatherMs = 50;

export function stepsOf(host: Host, names: readonly string[]): readonly Step[] {
  return names.map((name, index) => ({ id: `${index + 1}-${name}`, name, agent: host.agent(name) }));
}

/** Runs one step in a conversation of its own. Its other artifacts are put under its id. */
export async function* runStep(
  step: Step,
  { request, reply, speaks }: StepWork,
  context: AgentContext,
): AsyncGenerator<AgentEvent, StepResult> {
  const { id, name, agent } = step;
  const { signal, streaming } = context;
  // What a step says is said in a conversation of its own, so it cannot hand on that of the workflow.
  const tools = context.tools.filter((tool) => !tool.name.startsWith(transferPrefix));
  const message = reply?.message ?? request;
  const text = new TextBuilder();
  const artifact = createTextArtifact(step, streaming);
  try {
    const given = context.forAgent(name, { signal, tools, streaming });
    const task: Task = stepTask(context.task, id, request, reply?.waiting, message);
    for await (const event of agent.run(message, { ...given, task })) {
      if (event.type === 'text') {
        text.append(event.delta);
        const said = speaks ? event : artifact.add(event.delta);
        if (said) yield said;
        continue;
      }
      const rest = artifact.flush();
      if (rest) yield rest;
      if (event.type === 'input_required' || event.type === 'auth_required') {
        return { question: event.type, parts: event.parts };
      }
      yield event.type === 'artifact'
        ? { ...event, artifact: { ...event.artifact, artifactId: `${id}/${event.artifact.artifactId}` } }
        : event;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw stepFailure(context.agent, name, error);
  }
  const rest = artifact.flush();
  if (rest) yield rest;
  return { answer: { name, text: text.toString() } };
}

/** The text of a step as an artifact that grows. */
function createTextArtifact({ id, name }: Step, streaming: boolean) {
  let waiting = '';
  let begun = false;
  let written = Number.NEGATIVE_INFINITY;
  const flush = (): AgentEvent | undefined => {
    if (waiting === '') return undefined;
    const artifact = { artifactId: id, name, parts: [{ text: waiting }] };
    const event: AgentEvent = begun ? { type: 'artifact', artifact, append: true } : { type: 'artifact', artifact };
    waiting = '';
    begun = true;
    written = performance.now();
    return event;
  };
  return {
    flush,
    add(delta: string): AgentEvent | undefined {
      waiting += delta;
      return streaming && performance.now() - written >= gatherMs ? flush() : undefined;
    },
  };
}
