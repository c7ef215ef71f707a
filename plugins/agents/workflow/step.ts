import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type Artifact,
  type ExtensionPoints,
  type Message,
  type Part,
  type Task,
  TextBuilder,
} from '../../../core/index.ts';
import { transferPrefix } from '../control-tools.ts';
import type { Part as WorkPart } from '../progress.ts';
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
  /** Where the workflow can be continued. Whoever takes the result ends the part. */
  readonly part?: WorkPart | undefined;
}

/** Text of an artifact that comes within so many milliseconds goes out together. */
const gatherMs = 50;

export function stepsOf(host: Host, names: readonly string[]): readonly Step[] {
  return names.map((name, index) => ({ id: `${index + 1}-${name}`, name, agent: host.agent(name) }));
}

/** Runs one step in a conversation of its own. Its other artifacts are put under its id. */
export async function* runStep(
  step: Step,
  { request, reply, speaks, part }: StepWork,
  context: AgentContext,
): AsyncGenerator<AgentEvent, StepResult> {
  const { id, name, agent } = step;
  const { signal, streaming } = context;
  // What a step says is said in a conversation of its own, so it cannot hand on that of the workflow.
  const tools = context.tools.filter((tool) => !tool.name.startsWith(transferPrefix));
  const message = reply?.message ?? request;
  const text = new TextBuilder();
  const artifact = createTextArtifact(step, streaming);
  const before = part?.hear(() => text.toString()) ?? '';
  text.append(before);
  if (!speaks && before !== '') yield artifact.restart(before);
  try {
    const handover = { signal, tools, streaming };
    const given = part ? part.context(name, handover, agent.resumable === true) : context.forAgent(name, handover);
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

export function stepsResume(steps: readonly Step[]): boolean {
  return steps.every(({ agent }) => agent.resumable === true);
}

/** Events that put right what the end of a process has cut off: the texts of steps that had answered. */
export function textsAgain(
  steps: readonly Step[],
  answers: ReadonlyMap<string, Answer>,
  { artifacts }: Task,
): AgentEvent[] {
  return steps.flatMap(({ id, name }): AgentEvent[] => {
    const said = answers.get(id)?.text ?? '';
    const shown = artifacts.find(({ artifactId }) => artifactId === id)?.parts ?? [];
    if (said === '' || shown.map((part) => ('text' in part ? part.text : '')).join('') === said) return [];
    return [{ type: 'artifact', artifact: textArtifact({ id, name }, said) }];
  });
}

function textArtifact({ id, name }: Pick<Step, 'id' | 'name'>, said: string): Artifact {
  return { artifactId: id, name, parts: [{ text: said }] };
}

/** The text of a step as an artifact that grows. */
function createTextArtifact({ id, name }: Step, streaming: boolean) {
  let waiting = '';
  let begun = false;
  let written = Number.NEGATIVE_INFINITY;
  const flush = (): AgentEvent | undefined => {
    if (waiting === '') return undefined;
    const artifact = textArtifact({ id, name }, waiting);
    const event: AgentEvent = begun ? { type: 'artifact', artifact, append: true } : { type: 'artifact', artifact };
    waiting = '';
    begun = true;
    written = performance.now();
    return event;
  };
  return {
    flush,
    /** What had been said, in place of all that the artifact has. */
    restart(said: string): AgentEvent {
      begun = true;
      return { type: 'artifact', artifact: textArtifact({ id, name }, said) };
    },
    add(delta: string): AgentEvent | undefined {
      waiting += delta;
      return streaming && performance.now() - written >= gatherMs ? flush() : undefined;
    },
  };
}
