import { showsColor } from '../output.ts';
import { harmless } from '../remote/text.ts';

type Stream = NodeJS.WriteStream;

export interface ScreenOptions {
  /** What an agent says. */
  readonly answers: Stream;
  /** Everything about it. */
  readonly notes: Stream;
}

/**
 * Where a conversation is shown: the answer as it comes, and lines of notes. Nothing that came from elsewhere reaches a
 * terminal as anything but text.
 */
export class Screen {
  readonly #answers: Stream;
  readonly #notes: Stream;
  /** Whether a line of the answer is not at its end. */
  #amid = false;
  readonly #gone = new AbortController();

  constructor({ answers, notes }: ScreenOptions) {
    this.#answers = answers;
    this.#notes = notes;
  }

  /** Aborts when whoever reads the answers has left. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** How many characters of a note are shown. */
  get width(): number {
    return Math.max(40, (this.#notes.columns || 120) - 4);
  }

  /** More of an answer. Resolves when it is out: who reads slowly is not waited for in memory. */
  async answer(text: string): Promise<void> {
    const shown = harmless(text);
    if (shown === '') return;
    this.#amid = !shown.endsWith('\n');
    await this.#write(this.#answers, shown);
  }

  /** A line about the answer, less prominent than it. */
  async note(text: string): Promise<void> {
    const line = harmless(text);
    await this.line(showsColor(this.#notes) ? `\u001b[2m${line}\u001b[22m` : line);
  }

  /** A line of our own words: what came from elsewhere must have been made harmless. */
  async line(text: string): Promise<void> {
    // A note amid a line of the answer begins a new one, where both are seen together.
    if (this.#amid && (this.#answers === this.#notes || (this.#answers.isTTY && this.#notes.isTTY)))
      await this.endLine();
    await this.#write(this.#notes, `${text}\n`);
  }

  async endLine(): Promise<void> {
    if (!this.#amid) return;
    this.#amid = false;
    await this.#write(this.#answers, '\n');
  }

  #write(stream: Stream, text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      stream.write(text, (error) => {
        const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
        const left = code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
        if (left && stream === this.#answers) this.#gone.abort();
        if (error && !left) reject(error);
        else resolve();
      });
    });
  }
}
