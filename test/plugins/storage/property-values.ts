import type { Part, TaskState, TaskStatus } from '../../../core/a2a.ts';
import type { TaskChange } from '../../../core/extension/run-store.ts';
import type { StoredTask } from '../../../core/extension/storage-backend.ts';
import type { ChatMessage } from '../../../core/message.ts';
import type { Random } from '../../support/random.ts';

export const holders = ['one', 'two', 'three'] as const;
export const owners = ['ada', 'eve'] as const;
export const agents = ['writer', 'reader'] as const;
export const contexts = ['one', 'two'] as const;
export const resting: readonly [TaskState, ...TaskState[]] = [
  'TASK_STATE_COMPLETED',
  'TASK_STATE_INPUT_REQUIRED',
  'TASK_STATE_FAILED',
];
export const atWork: readonly TaskState[] = ['TASK_STATE_SUBMITTED', 'TASK_STATE_WORKING'];
export const texts = [
  'word ',
  '',
  'naïve 漢字 ',
  '\u0000',
  '\ud83e',
  '\udd89',
  "'; -- ",
  '{"a":1}',
  '\\u0000',
  'x'.repeat(3_000),
];
export const timestamp = (at: number) => new Date(Date.UTC(2025, 0, 1, 0, 0, 0, at)).toISOString();
const statusOf = (state: TaskState, at: number): TaskStatus => ({ state, timestamp: timestamp(at) });

/** What a run ends with. */
export function ending(state: TaskState, at: number) {
  const status = statusOf(state, at);
  return { status, changes: [{ type: 'status', status }] } as const;
}

/** What is stored and recorded: small, of few names, so that it meets often. */
export class RandomValues {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  task(id: string, states: readonly TaskState[]): StoredTask {
    const random = this.#random;
    const status = statusOf(random.one(states), random.below(6));
    const task = {
      id,
      contextId: random.one(contexts),
      status,
      artifacts: [],
      history: [],
      metadata: { value: random.below(1e6) },
    };
    return { task, owner: random.one(owners), agent: random.one(agents) };
  }

  change(): TaskChange {
    const random = this.#random;
    if (random.below(4) === 0) {
      const status = statusOf(random.one(atWork), random.below(6));
      const message = {
        messageId: `${random.below(1e6)}`,
        role: 'ROLE_AGENT',
        parts: [{ text: random.one(texts) }],
      } as const;
      return { type: 'status', status: { ...status, ...(random.below(2) && { message }) } };
    }
    const parts = Array.from({ length: 1 + random.below(2) }, (): Part => {
      if (random.below(3)) return { text: random.one(texts) };
      return random.one<Part>([
        { raw: 'AAEC/w==', mediaType: 'image/png' },
        { data: { n: null } },
        { url: 'https://example.com' },
      ]);
    });
    const artifact = {
      artifactId: random.one(['response', 'file']),
      parts,
      ...(random.below(2) && { name: random.one(texts) }),
    };
    return { type: 'artifact', artifact, append: random.below(5) > 0, lastChunk: random.below(2) === 0 };
  }

  messages(): readonly ChatMessage[] {
    const random = this.#random;
    return Array.from({ length: random.below(4) }, () => ({
      role: 'user',
      parts: [{ type: 'text', text: `${random.below(1e6)} ${random.one(texts)}` }],
    }));
  }
}
