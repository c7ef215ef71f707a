import { fstatSync, type Stats, statSync } from 'node:fs';

/** How often it is looked whether a log file was moved away. */
const lookMs = 5_000;

export interface Reopenable {
  /** What is written to. */
  readonly fd: number;
  /** Its name: one that was opened by somebody else has none, and is then not opened anew. */
  file: string | null;
  reopen(): void;
}

/** Follows a log file that is moved away by logrotate: on SIGUSR2 at once, and otherwise when it is seen to be another. */
export function reopenWhenMoved(file: string, log: Reopenable, everyMs = lookMs): Disposable {
  log.file = file;
  const reopen = () => log.reopen();
  const timer = setInterval(() => {
    if (!isSame(statSync(file, { throwIfNoEntry: false }), fstatSync(log.fd))) reopen();
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

/** Whoever sends the signal to all Hectors ends none that has no file. */
export function nothingToReopen(): Disposable {
  const stay = () => {};
  process.on('SIGUSR2', stay);
  return { [Symbol.dispose]: () => void process.off('SIGUSR2', stay) };
}

function isSame(named: Stats | undefined, open: Stats): boolean {
  return named?.dev === open.dev && named.ino === open.ino;
}
