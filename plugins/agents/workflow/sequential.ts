import type { Agent, AgentContext, AgentEvent, ExtensionPoints, Message } from '../../../core/index.ts';
import type { SequentialOptions } from './options.ts';
import { askedAt, checkResumption, resumption } from './position.ts';
import { type Answer, earlierAnswer, withAnswers } from './request.ts';
import { runStep, stepsOf } from './step.ts';

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
    for (const [index, step] of steps.entries()) {
      if (index < first) continue;
      const asked = waiting.get(step.id);
      const result = yield* runStep(
        step,
        {
          request: withAnswers(request, answers),
          reply: asked && { message, waiting: asked },
          speaks: index === steps.length - 1,
        },
        context,
      );
      if ('question' in result) {
        yield { type: result.question, parts: askedAt({ step: step.id }, result.parts) };
        return;
      }
      answers.push(result.answer);
    }
  }

  return { run };
}
