import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  HectorError,
  type Message,
  type Tool,
  unlessAborted,
} from '../../../core/index.ts';
import { escalate, exitLoop } from '../control-tools.ts';
import { Progress } from '../progress.ts';
import { type LoopOptions, mostRounds } from './options.ts';
import { askedAt, checkResumption, checkSteps, resumption } from './position.ts';
import { type Answer, earlierAnswer, withAnswers } from './request.ts';
import { runStep, type Step, stepsOf, stepsResume, textsAgain } from './step.ts';

interface LoopState {
  readonly steps: readonly string[];
  /** The step that is running, or runs next: from 1, and from 0. */
  readonly round: number;
  readonly index: number;
  readonly answers: readonly (readonly [string, Answer])[];
  readonly last: string;
  readonly reached?: Reached;
}

/**
 * The steps in turn, again and again, until one ends the loop or `max_iterations` rounds are over. Each gets the message
 * and the last answer of every step; the last text that a step has said is the answer.
 */
export function createLoop(
  { sub_agents, max_iterations }: LoopOptions,
  host: ExtensionPoints['agent']['context'],
): Agent {
  const steps = stepsOf(host, sub_agents);

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    context.signal.throwIfAborted();
    const resumed = resumption(message, context.task);
    checkResumption(context.agent, resumed, steps);
    const { request, waiting } = resumed;
    const begun = steps.findIndex(({ id }) => waiting.has(id));
    const asked = waiting.get(steps[begun]?.id ?? '');
    const firstRound = asked?.round ?? 1;
    const answers = new Map<string, Answer>();
    let last = '';
    const heard = (id: string, answer: Answer): void => {
      if (answer.text === '') return;
      answers.set(id, answer);
      last = answer.text;
    };
    // The one after the step that has asked spoke longest ago.
    if (asked) {
      for (const step of [...steps.slice(begun), ...steps.slice(0, begun)])
        heard(step.id, earlierAnswer(context.task, step));
    }

    let round = firstRound;
    let index = Math.max(0, begun);
    const state = (): LoopState => ({
      steps: steps.map(({ id }) => id),
      round,
      index,
      answers: [...answers],
      last,
      ...(ending.reached && { reached: ending.reached }),
    });
    const progress = await Progress.open(context, { kind: 'loop', version: 1, state });
    const restored = progress?.restored;
    const ending = createEnding(restored?.reached);
    if (restored) {
      checkSteps(context.agent, restored.steps, steps);
      ({ round, index, last } = restored);
      answers.clear();
      for (const [id, answer] of restored.answers) answers.set(id, answer);
      yield* textsAgain(steps, answers, context.task);
    }

    const tools = [...context.tools.filter(({ name }) => name !== exitLoop && name !== escalate), ...ending.tools];
    const mostOf = max_iterations || mostRounds;
    while (round <= mostOf) {
      const step = steps[index] as Step;
      const reply = asked && round === firstRound && index === begun ? { message, waiting: asked } : undefined;
      const part = progress?.part(`${step.id}/${round}`);
      const work = { request: withAnswers(request, inOrder(steps, answers)), reply, speaks: false, part };
      const result = yield* runStep(step, work, { ...context, tools });
      if ('question' in result) {
        yield { type: result.question, parts: askedAt({ step: step.id, round }, result.parts) };
        return;
      }
      heard(step.id, result.answer);
      const { reached } = ending;
      if (reached) {
        const given = reached.reason === undefined ? '' : `Given up by "${step.name}": ${reached.reason}`;
        const answer = [last, given].filter(Boolean).join('\n\n');
        if (answer !== '') yield { type: 'text', delta: answer };
        return;
      }
      part?.over();
      index = (index + 1) % steps.length;
      if (index === 0) round++;
      if (progress && round <= mostOf) await unlessAborted(progress.save('tool_call'), context.signal);
    }
    if (max_iterations === 0) {
      throw new HectorError(
        'loop_without_end',
        `The loop "${context.agent}" was stopped: none of its agents ended it within ${mostRounds} rounds. Let one of them end it (reasoning.enable_exit_tool), or set max_iterations.`,
      );
    }
    if (last !== '') yield { type: 'text', delta: last };
  }

  return { resumable: stepsResume(steps), run };
}

function inOrder(steps: readonly { readonly id: string }[], answers: ReadonlyMap<string, Answer>): readonly Answer[] {
  return steps.flatMap(({ id }) => answers.get(id) ?? []);
}

/** That the loop is to end. */
interface Reached {
  readonly reason?: string;
}

/** The tools by which an agent ends the loop. The innermost one: those of a loop around it are not passed on. */
function createEnding(before?: Reached) {
  let reached = before;
  const exit: Tool = {
    name: exitLoop,
    description: 'Ends the loop that this is a step of. Call it when the work is done.',
    parameters: { type: 'object', properties: {}, additionalProperties: false },
    final: true,
    idempotent: true,
    execute() {
      reached ??= {};
      return 'The loop ends.';
    },
  };
  const giveUp: Tool = {
    name: escalate,
    description: 'Ends the loop that this is a step of, because the work cannot be done by it.',
    parameters: {
      type: 'object',
      properties: { reason: { type: 'string', minLength: 1, description: 'Why' } },
      required: ['reason'],
      additionalProperties: false,
    },
    final: true,
    idempotent: true,
    execute({ reason }) {
      reached ??= { reason: String(reason) };
      return 'The loop ends, and the reason is told.';
    },
  };
  return {
    tools: [exit, giveUp],
    get reached() {
      return reached;
    },
  };
}
