import { on } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HectorError } from '../errors.ts';
import type { ConfigIssue, ConfigPath } from './issue.ts';
import type { ConfigFormat } from './parse.ts';
import type { Piece } from './pieces.ts';
import type { ConfigText } from './text.ts';

export interface ParseRequest {
  readonly text: ConfigText;
  readonly path: ConfigPath;
  readonly format: ConfigFormat | undefined;
}

/** Some of what a text says; the last batch has what is wrong with it. */
export interface ParseBatch {
  readonly pieces: readonly Piece[];
  readonly end?: { readonly issues: readonly ConfigIssue[]; readonly aliases: number };
}

const extension = extname(fileURLToPath(import.meta.url));
const module = new URL(`./parse-worker${extension}`, import.meta.url);

function threadFor(workerData: ParseRequest): Worker {
  const options = { workerData, name: 'hector-parse' };
  return extension === '.ts' ? new Worker(translated(), { ...options, eval: true }) : new Worker(module, options);
}

/** Where Hector runs from its sources, what reads TypeScript for this thread does not do so for another by itself. */
function translated(): string {
  const [translator, target] = [import.meta.resolve('tsx/esm/api'), module.href].map((each) => JSON.stringify(each));
  return `import(${translator}).then(({ register }) => { register(); return import(${target}); });`;
}

/** Parses in a thread of its own, which is gone when the last batch has been taken, or when no more are wanted. */
export async function* parseInThread(request: ParseRequest): AsyncGenerator<ParseBatch> {
  const worker = threadFor(request);
  try {
    for await (const [batch] of on(worker, 'message', { close: ['exit'] }) as AsyncIterable<[ParseBatch]>) {
      yield batch;
      if (batch.end) return;
    }
    throw new HectorError('parse_failed', `The thread that parses ${request.text.source} ended before it was done.`);
  } finally {
    await worker.terminate();
  }
}
