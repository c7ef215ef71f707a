import { HectorError, type Message, type Part, type Task } from '../../../core/index.ts';

/** Under this key the parts of a question say which step asks: the way to it, from the outermost workflow inwards. */
const stepsKey = 'hector:steps';

/** Where in a workflow. */
interface Position {
  /** The id of the step, which its artifacts have as well. */
  readonly step: string;
  /** In a loop, from 1. */
  readonly round?: number;
}

/** A step that has asked and now has its answer. */
export interface Waiting extends Position {
  /** What it asked, as it said it. */
  readonly parts: readonly Part[];
}

/** What a message is to a workflow: the beginning of its work, or the answer to what some of its steps have asked. */
interface Resumption {
  /** The message that the work began with. */
  readonly request: Message;
  /** By step. Empty: the work begins. */
  readonly waiting: ReadonlyMap<string, Waiting>;
}

export function resumption(message: Message, task: Task): Resumption {
  const waiting = new Map<string, Waiting>();
  // What stands just before the message, which the caller cannot have written: else he could leave out steps.
  const reply = task.history.at(-1);
  const question = reply?.messageId === message.messageId ? task.history.at(-2) : undefined;
  for (const part of question?.parts ?? []) {
    const [here, ...inner] = wayOf(part);
    if (!here) continue;
    const parts = [...(waiting.get(here.step)?.parts ?? []), withWay(part, inner)];
    waiting.set(here.step, { ...here, parts });
  }
  return { request: (waiting.size > 0 && task.history[0]) || message, waiting };
}

/** Throws where a step has asked that the workflow, as it is now, no longer has. */
export function checkResumption(
  agent: string,
  { waiting }: Resumption,
  steps: readonly { readonly id: string }[],
): void {
  const gone = [...waiting.keys()].find((id) => !steps.some((step) => step.id === id));
  if (gone === undefined) return;
  throw new HectorError(
    'workflow_changed',
    `The workflow "${agent}" was changed while the task waited: its step "${gone}", which asked, is gone. Send the message without a taskId to begin another task.`,
  );
}

/** Throws where a workflow is to be continued that had other steps when its process ended. */
export function checkSteps(agent: string, saved: readonly string[], steps: readonly { readonly id: string }[]): void {
  if (saved.join() === steps.map(({ id }) => id).join()) return;
  throw new HectorError(
    'workflow_changed',
    `The work of "${agent}" cannot be continued: its steps were changed since. Send the message without a taskId to begin another task.`,
  );
}

/** The parts of a step's question, with the way to the step. */
export function askedAt(position: Position, parts: readonly Part[]): readonly Part[] {
  const said = parts.length > 0 ? parts : [{ text: `The step "${position.step}" needs an answer to go on.` }];
  return said.map((part) => withWay(part, [position, ...wayOf(part)]));
}

/** The task as it concerns one step alone: its artifacts under the ids it gave them, its question, what it is asked. */
export function stepTask(
  task: Task,
  step: string,
  request: Message,
  waiting: Waiting | undefined,
  reply: Message,
): Task {
  const prefix = `${step}/`;
  const artifacts = task.artifacts
    .filter(({ artifactId }) => artifactId.startsWith(prefix))
    .map((artifact) => ({ ...artifact, artifactId: artifact.artifactId.slice(prefix.length) }));
  if (!waiting) return { ...task, artifacts: [], history: [request] };
  const question: Message = { messageId: `${reply.messageId}-asked`, role: 'ROLE_AGENT', parts: waiting.parts };
  return { ...task, artifacts, history: [request, question, reply] };
}

function wayOf(part: Part): readonly Position[] {
  const way = part.metadata?.[stepsKey];
  return Array.isArray(way) ? way.filter(isPosition) : [];
}

function isPosition(value: unknown): value is Position {
  return typeof (value as { step?: unknown } | null)?.step === 'string';
}

function withWay(part: Part, way: readonly Position[]): Part {
  const { metadata, ...rest } = part;
  const { [stepsKey]: _, ...others } = metadata ?? {};
  const kept = way.length > 0 ? { ...others, [stepsKey]: way } : others;
  return (Object.keys(kept).length > 0 ? { ...rest, metadata: kept } : rest) as Part;
}
