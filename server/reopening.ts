import { statSync } from 'node:fs';

/** How often it is looked whether a log file was moved away. */
const lookMs = 5_000;

export interface Reopenable {
  reopen(file: string): void;
}

/** Follows a log file that is moved away by logrotate: on SIGUSR2 at once, and otherwise when it is seen to be another. */
export function reopenWhenMoved(file: string, log: Reopenable, everyMs = lookMs): Disposable {
  let known = identityOf(file);
  const reopen = () => {
    log.reopen(file);
    known = undefined;
  };
  const timer = setInterval(() => {
    const now = identityOf(file);
    if (known !== undefined && now !== known) reopen();
    else known = now ?? known;
  }, everyMs);
  timer.unref();
  process.on('SIGUSR2', reopen);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      process.off('SIGUSR2', reopen);
    },
  };
}

/** `undefined` where there is none. */
function identityOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
