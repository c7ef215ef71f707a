import { reference, type Static, Type } from '../../../core/index.ts';

/** An agent may be there more than once. */
const steps = Type.Array(reference('agent', 'An agent'), {
  minItems: 1,
  maxItems: 1_000,
  description: 'The agents that do the work, in their order',
});

export const SequentialOptions = Type.Object({ sub_agents: steps }, { additionalProperties: false });
export type SequentialOptions = Static<typeof SequentialOptions>;

export const ParallelOptions = Type.Object(
  {
    sub_agents: steps,
    max_parallel: Type.Integer({
      minimum: 1,
      maximum: 128,
      default: 8,
      description: 'Agents that work at the same time',
    }),
  },
  { additionalProperties: false },
);
export type ParallelOptions = Static<typeof ParallelOptions>;

/** Rounds of a loop that only its agents may end. */
export const mostRounds = 100;

export const LoopOptions = Type.Object(
  {
    sub_agents: steps,
    max_iterations: Type.Integer({
      minimum: 0,
      maximum: 10_000,
      default: 0,
      description: `Rounds at most; 0: until an agent ends the loop, and the task fails after ${mostRounds}`,
    }),
  },
  { additionalProperties: false },
);
export type LoopOptions = Static<typeof LoopOptions>;
