import { realpath } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watch } from 'chokidar';
import { errorMessage } from '../../core/index.ts';

interface Follower {
  /** Whether nothing below a path, relative to the folder, is of interest. */
  ignores(path: string): boolean;
  /** Brings up to date. One at a time. */
  update(signal: AbortSignal): Promise<void>;
  failed(error: unknown): void;
}

/** A change counts once the folder has been quiet for so long, or has not been quiet for too long. */
const quietMs = 200;
const restlessMs = 2_000;
/** Where no event comes (network file systems, exhausted watches), a look this often finds the change. */
const pollMs = 30_000;

/**
 * Calls `update` after changes of a folder. An event is only a hint to look: what has changed is for `update` to find,
 * so that events lost, merged or doubled do no harm.
 */
export async function followFolder(folder: string, follower: Follower): Promise<AsyncDisposable> {
  const root = await realpath(folder);
  const closing = new AbortController();
  let touched = false;
  let wake = (): void => {};
  const touch = (): void => {
    touched = true;
    wake();
  };

  let failure: string | undefined;
  const fail = (error: unknown): void => {
    if (errorMessage(error) === failure) return;
    failure = errorMessage(error);
    follower.failed(error);
  };

  const watcher = watch(root, {
    ignoreInitial: true,
    followSymlinks: false,
    ignorePermissionErrors: true,
    ignored: (path, stats) => {
      // A folder tells of the files in it; a watch for each of ten thousand would exhaust what the system has.
      if (stats?.isFile()) return true;
      const name = relative(root, path).split(sep).join('/');
      return name !== '' && follower.ignores(name);
    },
  });
  watcher.on('all', touch);
  // What a folder tells as it comes. Of ignored names as well, and rightly: a mounted ConfigMap changes by a new target
  // of its hidden link `..data`.
  watcher.on('raw', touch);
  watcher.on('error', fail);
  await new Promise<void>((resolve) => watcher.once('ready', resolve));
  // Whatever changed before the watcher was ready.
  touch();

  const nextLook = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, touched ? 0 : pollMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (closing.signal.aborted) wake();
    });

  const following = (async () => {
    while (!closing.signal.aborted) {
      await nextLook();
      try {
        const since = Date.now();
        do {
          touched = false;
          await sleep(quietMs, undefined, { signal: closing.signal });
        } while (touched && Date.now() - since < restlessMs);
        await follower.update(closing.signal);
        failure = undefined;
      } catch (error) {
        if (!closing.signal.aborted) fail(error);
      }
    }
  })();

  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      wake();
      await Promise.all([watcher.close(), following]);
    },
  };
}
