import { parentPort, workerData } from 'node:worker_threads';
import { parse } from './parse.ts';
import type { ParseBatch, ParseRequest } from './parse-thread.ts';
import { type Piece, piecesOf } from './pieces.ts';
import type { Origins } from './tree.ts';

/** Taking a batch is a moment's work for the thread that serves. */
const batchLength = 64 * 1024;

const { text, path, format } = workerData as ParseRequest;
const origins: Origins = new WeakMap();
const { value, origin, issues, aliases } = parse(text, { path, origins, format });
const post = (batch: ParseBatch) => parentPort?.postMessage(batch);

let pieces: Piece[] = [];
let length = 0;
for (const piece of issues.length > 0 ? [] : piecesOf(value, origin, origins, path)) {
  pieces.push(piece);
  length += piece.packed?.length ?? 0;
  if (length < batchLength) continue;
  post({ pieces });
  pieces = [];
  length = 0;
}
post({ pieces, end: { issues, aliases } });
