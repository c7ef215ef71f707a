import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, HectorError } from '../../core/errors.ts';
import { type ReloadReport, reportPath } from '../service-manager.ts';
import type { Output } from './output.ts';
import { UsageError } from './usage-error.ts';

/** Asks a Hector that systemd has started to read its configuration, and waits for what becomes of it. */
export async function reloadCommand(pid: number): Promise<Output> {
  const folder = process.env['RUNTIME_DIRECTORY'];
  if (!folder) {
    throw new UsageError(
      'hector reload is for ExecReload= of a systemd unit that has RuntimeDirectory=. Elsewhere: kill -HUP, or POST /api/config/reload.',
    );
  }
  const path = reportPath(folder);
  const before = await readReport(path);
  signal(pid, 'SIGHUP');
  for (;;) {
    const report = await readReport(path);
    if (report && report.at !== before?.at) return outcome(report);
    // It may have ended without a word.
    signal(pid, 0);
    await sleep(20);
  }
}

function outcome({ result, message }: ReloadReport): Output {
  const taken = result === 'success' || result === 'noop';
  return taken ? { code: 0, stdout: `${message}\n` } : { code: 1, stderr: `error: ${message}\n` };
}

async function readReport(path: string): Promise<ReloadReport | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ReloadReport;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function signal(pid: number, name: 'SIGHUP' | 0): void {
  try {
    process.kill(pid, name);
  } catch (cause) {
    throw new HectorError('no_process', `There is no process ${pid} to be told (${errorCode(cause)}).`, { cause });
  }
}
