import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../support/until.ts';
import { findProgram, foundOrInstalled } from './service.ts';

/** STRACE names a program of one's own. */
const find = () => findProgram(process.env['STRACE'] ?? 'strace');

const found = await foundOrInstalled(find, 'strace');

export const straceMissing = found
  ? false
  : 'strace is not installed: apt-get install strace, set STRACE, or HECTOR_TEST_INSTALL';

/**
 * From now on every thread of a process that has written something stands still for so many milliseconds, as on a machine
 * where all processors are taken: what it wrote is read, and answered, before the thread goes on.
 */
export async function slowedAfterWrites(pid: number, ms: number): Promise<AsyncDisposable> {
  const inject = `inject=write:delay_exit=${ms * 1_000}`;
  const child = spawn(found as string, ['-f', '-o', '/dev/null', '-e', 'trace=write', '-e', inject, '-p', `${pid}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  // It lets the process go.
  const end = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    await exited;
  };
  try {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`strace ended with ${child.exitCode}:\n${said}`);
      return /attached/.test(said);
    });
  } catch (error) {
    await end();
    throw error;
  }
  return { [Symbol.asyncDispose]: end };
}
