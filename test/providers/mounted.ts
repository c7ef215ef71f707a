import { execFileSync, spawnSync } from 'node:child_process';

/** Why tests that mount are passed over, where they may be: a developer need not be root. */
export const cannotMount = cannot('only root can mount', ['--mount', 'true']);

/** The same of limits that hold for one process only. */
export const cannotLimit = cannot('user namespaces are forbidden here', ['-Ur', 'true']);

function cannot(why: string, options: readonly string[]): string | false {
  return process.env['CI'] || spawnSync('unshare', options).status === 0 ? false : why;
}

/** Mounts until it is disposed: `mounted(path, ['--bind', source, path])`. */
export function mounted(path: string, options: readonly string[]): Disposable {
  execFileSync('mount', options);
  return { [Symbol.dispose]: () => void execFileSync('umount', ['--lazy', path]) };
}
