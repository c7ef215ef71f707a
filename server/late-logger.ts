import type { Logger } from '../core/logger.ts';

type Line = (target: Logger) => void;

/** A logger for what is made before it is known where the log goes: keeps the lines until then. */
export class LateLogger {
  readonly logger: Logger;
  #target: Logger | undefined;
  #kept: Line[] = [];

  constructor() {
    this.logger = this.#at((target) => target);
  }

  /** From now on lines go there; those from before come first. */
  become(target: Logger): void {
    this.#target = target;
    for (const line of this.#kept) line(target);
    this.#kept = [];
  }

  #at(find: (target: Logger) => Logger): Logger {
    const write = (line: Line) => {
      if (this.#target) line(this.#target);
      // A start that goes on and on without a log has more to say than anybody would read.
      else if (this.#kept.length < 1_000) this.#kept.push(line);
    };
    return {
      debug: (fields, message) => write((target) => find(target).debug(fields, message)),
      info: (fields, message) => write((target) => find(target).info(fields, message)),
      warn: (fields, message) => write((target) => find(target).warn(fields, message)),
      error: (fields, message) => write((target) => find(target).error(fields, message)),
      child: (fields) => {
        let own: Logger | undefined;
        return this.#at((target) => {
          own ??= find(target).child(fields);
          return own;
        });
      },
    };
  }
}
