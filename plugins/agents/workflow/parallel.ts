import type { Agent, AgentContext, AgentEvent, ExtensionPoints, Message } from '../../../core/index.ts';
import { during, type Outlet } from '../event-stream.ts';
import { Progress } from '../progress.ts';
import type { ParallelOptions } from './options.ts';
import { askedAt, checkResumption, checkSteps, resumption } from './position.ts';
import { type Answer, earlierAnswer, labelled } from './request.ts';
import { runStep, type Step, type StepResult, stepsOf, stepsResume, textsAgain } from './step.ts';

interface ParallelState {
  readonly steps: readonly string[];
  /** Of the steps that have come to their end. */
  readonly results: Readonly<Record<string, StepResult>>;
}

/**
 * All steps at once, with the same message. The answer is theirs, in the order of the configuration. One that fails
 * cancels the others and fails the whole. One that asks lets the others come to their end; then all that ask do so
 * together, and the reply goes to each of them.
 */
export function createParallel(
  { sub_agents, max_parallel }: ParallelOptions,
  host: ExtensionPoints['agent']['context'],
): Agent {
  const steps = stepsOf(host, sub_agents);

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    context.signal.throwIfAborted();
    const resumed = resumption(message, context.task);
    checkResumption(context.agent, resumed, steps);
    const { request, waiting } = resumed;
    const results: StepResult[] = steps.map((step) => ({ answer: earlierAnswer(context.task, step) }));
    const ended = new Map<string, StepResult>();
    const state = (): ParallelState => ({
      steps: steps.map(({ id }) => id),
      results: Object.fromEntries(ended),
    });
    let flush: (() => Promise<void>) | undefined;
    const progress = await Progress.open(context, {
      kind: 'parallel',
      version: 1,
      state,
      flushed: async () => flush?.(),
    });
    if (progress?.restored) {
      checkSteps(context.agent, progress.restored.steps, steps);
      const answers = new Map<string, Answer>();
      for (const [index, { id }] of steps.entries()) {
        const result = progress.restored.results[id];
        if (!result) continue;
        ended.set(id, result);
        results[index] = result;
        if ('answer' in result) answers.set(id, result.answer);
      }
      yield* textsAgain(steps, answers, context.task);
    }

    yield* during(context.signal, async (outlet, signal) => {
      flush = () => outlet.flushed();
      const told = createOrder(steps, outlet);
      const pending = [...steps.entries()]
        .filter(([, { id }]) => !ended.has(id) && (waiting.size === 0 || waiting.has(id)))
        .values();
      const worker = async () => {
        for (const [index, step] of pending) {
          const asked = waiting.get(step.id);
          const part = progress?.part(step.id);
          const work = { request, reply: asked && { message, waiting: asked }, speaks: false, part };
          const events = runStep(step, work, { ...context, signal });
          for (let next = await events.next(); ; next = await events.next()) {
            if (next.done) {
              results[index] = next.value;
              break;
            }
            await told(index, next.value);
          }
          if (!progress) continue;
          // What the step has brought is part of the task before its end counts.
          await outlet.flushed();
          ended.set(step.id, results[index] as StepResult);
          part?.over();
          await progress.save('tool_call');
        }
      };
      await Promise.all(Array.from({ length: Math.min(max_parallel, steps.length) }, worker));
    });

    const questions = steps.flatMap(({ id }, index) => {
      const result = results[index];
      return result && 'question' in result ? [{ id, ...result }] : [];
    });
    if (questions.length > 0) {
      const parts = questions.flatMap(({ id, parts: asked }) => askedAt({ step: id }, asked));
      const authorization = questions.some(({ question }) => question === 'auth_required');
      yield { type: authorization ? 'auth_required' : 'input_required', parts };
      return;
    }
    const answers = results.flatMap((result) =>
      'answer' in result && result.answer.text ? [labelled(result.answer)] : [],
    );
    if (answers.length > 0) yield { type: 'text', delta: answers.join('\n\n') };
  }

  return { resumable: stepsResume(steps), run };
}

/** Passes events on so that the texts of the steps are artifacts in the order of the steps, whoever speaks first. */
function createOrder(steps: readonly Step[], outlet: Outlet) {
  let opened = 0;
  return async (index: number, event: AgentEvent): Promise<void> => {
    while (event.type === 'artifact' && opened < index) {
      const { id, name } = steps[opened++] as Step;
      // Appended: where the step has begun by itself, this changes nothing.
      await outlet.emit({ type: 'artifact', append: true, artifact: { artifactId: id, name, parts: [{ text: '' }] } });
    }
    await outlet.emit(event);
  };
}
