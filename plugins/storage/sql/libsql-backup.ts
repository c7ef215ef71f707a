import { open, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { errorCode, errorMessage, HectorError } from '../../../core/index.ts';

/** In a thread of its own, since copying holds up the one that does it; no writer waits for it. */
const copy = `
const { workerData } = require('node:worker_threads');
const Database = require(workerData.libsql);
const database = new Database(workerData.from, { timeout: 10000 });
database.prepare('VACUUM INTO ?').run([workerData.to]);
database.close();
`;

/** A copy as of one moment, complete or not there at all. */
export async function backUp(from: string, to: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await (await open(to, 'wx', 0o600)).close();
  } catch (error) {
    const what =
      errorCode(error) === 'EEXIST' ? 'is there already: name another' : `cannot be made: ${errorMessage(error)}`;
    throw new HectorError('backup_failed', `The file ${to} ${what}.`, { cause: error });
  }
  try {
    await copied(from, to, signal);
  } catch (error) {
    await rm(to, { force: true });
    await rm(`${to}-journal`, { force: true });
    signal.throwIfAborted();
    throw new HectorError('backup_failed', `${from} could not be copied to ${to}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function copied(from: string, to: string, signal: AbortSignal): Promise<void> {
  const libsql = fileURLToPath(import.meta.resolve('libsql'));
  const worker = new Worker(copy, { eval: true, name: 'hector-backup', workerData: { libsql, from, to } });
  const stop = () => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error('it was given up'))));
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
