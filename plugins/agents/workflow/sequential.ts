import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  type Message,
  unlessAborted,
} from '../../../core/index.ts';
import { Progress } from '../progress.ts';
import type { SequentialOptions } from './options.ts';
import { askedAt, checkResumption, checkSteps, resumption } from './position.ts';
import { type Answer, earlierAnswer, withAnswers } from './request.ts';
import { runStep, stepsOf, stepsResume } from './step.ts';

interface SequentialState {
  readonly steps: readonly string[];
  /** Of the steps that have ended. */
  readonly answers: readonly Answer[];
}

/**
 * One step after the other. Each gets the message and what those before it have answered; the last one's text is the
 * answer. A step that asks pauses the whole, which goes on there: steps that have answered are not run again.
 */
export function createSequential({ sub_agents }: SequentialOptions, host: ExtensionPoints['agent']['context']): Agent {
  const steps = stepsOf(host, sub_agents);

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    context.signal.throwIfAborted();
    const resumed = resumption(message, context.task);
    checkResumption(context.agent, resumed, steps);
    const { request, waiting } = resumed;
    const first = Math.max(
      0,
      steps.findIndex(({ id }) => waiting.has(id)),
    );
    const answers: Answer[] = steps.slice(0, first).map((step) => earlierAnswer(context.task, step));
    const ids = steps.map(({ id }) => id);
    const state = (): SequentialState => ({ steps: ids, answers: [...answers] });
    const progress = await Progress.open(context, { kind: 'sequential', version: 1, state });
    if (progress?.restored) {
      checkSteps(context.agent, progress.restored.steps, steps);
      answers.splice(0, answers.length, ...progress.restored.answers);
    }
    for (const [index, step] of steps.entries()) {
      if (index < answers.length) continue;
      const asked = waiting.get(step.id);
      const part = progress?.part(step.id);
      const result = yield* runStep(
        step,
        {
          request: withAnswers(request, answers),
          reply: asked && { message, waiting: asked },
          speaks: index === steps.length - 1,
          part,
        },
        context,
      );
      if ('question' in result) {
        yield { type: result.question, parts: askedAt({ step: step.id }, result.parts) };
        return;
      }
      answers.push(result.answer);
      part?.over();
      if (progress && index < steps.length - 1) await unlessAborted(progress.save('tool_call'), context.signal);
    }
  }

  return { resumable: stepsResume(steps), run };
}
