import type { HectorConfig } from '../config/language/hector.ts';
import type { Checkpoint, CheckpointMoment } from '../extension/agent.ts';

type CheckpointConfig = HectorConfig['storage']['checkpoint'];

/** What a run can be continued from, as it is stored. */
export interface SavedRun {
  /** What each part of the agent has saved, by its place. */
  readonly parts: Readonly<Record<string, unknown>>;
  readonly answered: number;
}

export interface CheckpointsOptions {
  readonly config: CheckpointConfig;
  /** How much of the answer there is, in UTF-16 units. */
  answered(): number;
  /** Resolves when it is in the database, with all that has happened to the task. */
  write(checkpoint: string): Promise<void>;
}

/** What a claimed run is continued from, read once. */
export function savedRun(checkpoint: string | undefined): SavedRun {
  return checkpoint === undefined ? { parts: {}, answered: 0 } : (JSON.parse(checkpoint) as SavedRun);
}

/**
 * The checkpoints of one run: what the parts of its agent save goes into one, which replaces the one before. What is saved
 * while one is being written goes with the next, so a fast agent costs no more than the database can take.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #restored: Readonly<Record<string, unknown>>;
  readonly #parts: Map<string, unknown>;
  /** When something was saved last: what is said until it is written is said again. */
  #answered = 0;
  #modelCalls = 0;
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: CheckpointsOptions, restored: SavedRun['parts'] = {}) {
    this.#options = options;
    this.#restored = restored;
    this.#parts = new Map(Object.entries(restored));
  }

  root(): Checkpoint {
    return this.#at('');
  }

  #at(place: string): Checkpoint {
    return {
      restored: this.#restored[place],
      save: (state, moment) => {
        this.#parts.set(place, state);
        this.#answered = this.#options.answered();
        return this.#isDue(moment) ? this.#save() : Promise.resolve();
      },
      at: (key) => this.#at(`${place}/${key.replace(/[~/]/g, (each) => (each === '~' ? '~0' : '~1'))}`),
    };
  }

  #isDue(moment: CheckpointMoment): boolean {
    const { strategy, interval, after_tools, before_llm } = this.#options.config;
    if (moment === 'tool_call') return true;
    if (moment === 'before_llm') this.#modelCalls++;
    const isChosen = strategy !== 'interval' && (moment === 'after_tools' ? after_tools : before_llm);
    const isInterval =
      strategy !== 'event' && moment === 'before_llm' && interval > 0 && this.#modelCalls % interval === 0;
    return isChosen || isInterval;
  }

  #save(): Promise<void> {
    if (!this.#writing) return this.#write();
    this.#next ??= handled(
      this.#writing
        .catch(() => undefined)
        .then(() => {
          this.#next = undefined;
          return this.#write();
        }),
    );
    return this.#next;
  }

  #write(): Promise<void> {
    const saved: SavedRun = { parts: Object.fromEntries(this.#parts), answered: this.#answered };
    const writing = handled(
      this.#options.write(JSON.stringify(saved)).finally(() => {
        if (this.#writing === writing) this.#writing = undefined;
      }),
    );
    this.#writing = writing;
    return writing;
  }
}

/** An agent may look later whether it went well. */
function handled(saving: Promise<void>): Promise<void> {
  saving.catch(() => undefined);
  return saving;
}
