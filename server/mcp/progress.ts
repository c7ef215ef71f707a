import type { TaskEvent } from '../../core/task/event.ts';

const everyMs = 250;
const maxLength = 500;

export type SendProgress = (progress: number, message: string) => void;

/**
 * Turns what happens to a task into progress, at most one notification in `everyMs`: the first at once, later ones
 * together, so that the last word always gets out unless the task ends before.
 */
export class Progress implements Disposable {
  readonly #send: SendProgress;
  #count = 0;
  #characters = 0;
  #message: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sent = Number.NEGATIVE_INFINITY;

  constructor(send: SendProgress) {
    this.#send = send;
  }

  event(event: TaskEvent): void {
    const message = this.#messageOf(event);
    if (message === undefined) return;
    this.#message = message;
    const wait = this.#sent + everyMs - performance.now();
    if (wait <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #messageOf(event: TaskEvent): string | undefined {
    switch (event.type) {
      case 'status': {
        const { state, message } = event.status;
        if (state !== 'TASK_STATE_WORKING') return undefined;
        const text = message?.parts.flatMap((part) => ('text' in part ? [part.text] : [])).join('\n');
        return text?.slice(0, maxLength) || 'working';
      }
      case 'artifact':
        for (const part of event.artifact.parts) if ('text' in part) this.#characters += part.text.length;
        return `${this.#characters} characters so far`;
      case 'task':
        return undefined;
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#message === undefined) return;
    this.#sent = performance.now();
    this.#send(++this.#count, this.#message);
    this.#message = undefined;
  }
}
