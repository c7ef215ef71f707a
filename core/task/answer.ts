export interface AnswerOptions {
  /** Whether anybody reads along. */
  readonly watched: () => boolean;
  /** How long a piece may wait for others to join it, and how many may join. */
  readonly coalesceMs: number;
  readonly coalesceMax: number;
  /** Some of it was written already, by the run that this one continues. */
  readonly begun?: boolean;
  /** Takes text that continues what was written before; `first` and `last` mark the ends of the whole. */
  readonly write: (text: string, first: boolean, last: boolean) => void;
}

/**
 * The text of one run, on its way from the agent to the readers.
 *
 * A piece that comes after a silence goes out at once, so the first token is never late and a slow model is not slowed
 * down further; those that come in quick succession go out together. While nobody reads along they are only collected.
 */
export class Answer {
  readonly #options: AnswerOptions;
  #text = '';
  #pieces = 0;
  #timer: NodeJS.Timeout | undefined;
  #begun = false;
  #written = Number.NEGATIVE_INFINITY;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#begun = options.begun ?? false;
  }

  add(delta: string): void {
    const { watched, coalesceMs, coalesceMax } = this.#options;
    this.#text += delta;
    this.#pieces++;
    if (!watched()) return;
    if (this.#pieces >= coalesceMax || performance.now() - this.#written >= coalesceMs) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), coalesceMs);
  }

  /** Writes what was collected. */
  flush(): void {
    if (this.#text !== '') this.#write(false);
  }

  /** The last of it. Nothing is written where there was no text at all. */
  end(): void {
    if (this.#begun || this.#text !== '') this.#write(true);
    this.#clear();
  }

  #write(last: boolean): void {
    const text = this.#text;
    const first = !this.#begun;
    this.#clear();
    this.#begun = true;
    this.#written = performance.now();
    this.#options.write(text, first, last);
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#text = '';
    this.#pieces = 0;
  }
}
