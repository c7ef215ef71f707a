import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

export interface PromptOptions {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  /** Ctrl-C. */
  onInterrupt(): void;
}

/** Lines that were typed or pasted before they were asked for. */
const maxAhead = 1_000;

/**
 * Lines of a terminal. What is typed while nothing is asked stays invisible, so that it does not end up amid an answer, and
 * is there when the next line is asked for.
 */
export class Prompt implements Disposable {
  readonly #lines: Interface;
  readonly #output: NodeJS.WriteStream;
  readonly #ahead: string[] = [];
  #visible = false;
  #closed = false;
  #answer: ((line: string | undefined) => void) | undefined;

  constructor({ input, output, onInterrupt }: PromptOptions) {
    this.#output = output;
    const shown = new Writable({
      write: (chunk, _encoding, done) => {
        // Whether it is to be seen is decided as it comes: nothing may wait here.
        if (this.#visible) output.write(chunk);
        done();
      },
    });
    // What readline asks a terminal for.
    Object.defineProperty(shown, 'columns', { get: () => output.columns });
    this.#lines = createInterface({ input, output: shown, terminal: true, historySize: 200 });
    this.#lines.on('line', (line) => {
      if (this.#answer) this.#settle(line);
      else if (this.#ahead.length < maxAhead) this.#ahead.push(line);
    });
    this.#lines.on('SIGINT', onInterrupt);
    this.#lines.on('close', () => {
      this.#closed = true;
      this.#settle(undefined);
    });
  }

  /** The next line; `undefined` when there will be none. */
  async ask(text: string): Promise<string | undefined> {
    const ahead = this.#ahead.shift();
    if (ahead !== undefined) {
      this.#output.write(`${text}${ahead}\n`);
      return ahead;
    }
    if (this.#closed) return undefined;
    this.#visible = true;
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#lines.setPrompt(text);
      this.#lines.prompt(true);
    });
  }

  /** What was typed ahead is not meant any more. */
  forget(): void {
    this.#ahead.length = 0;
  }

  /** There will be no more lines. */
  close(): void {
    if (!this.#closed) this.#lines.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #settle(line: string | undefined): void {
    const answer = this.#answer;
    if (!answer) return;
    this.#answer = undefined;
    // The end of input comes amid the line of the prompt.
    if (line === undefined) this.#output.write('\n');
    this.#visible = false;
    answer(line);
  }
}
