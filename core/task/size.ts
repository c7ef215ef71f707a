import type { Part, Task } from '../a2a.ts';

/** The bytes of the contents of parts. */
export function partsSize(parts: readonly Part[]): number {
  let size = 0;
  for (const part of parts) {
    if ('text' in part) size += Buffer.byteLength(part.text);
    else if ('raw' in part) size += part.raw.length;
    else if ('url' in part) size += part.url.length;
    else size += Buffer.byteLength(JSON.stringify(part.data) ?? '');
  }
  return size;
}

export function taskSize(task: Task): number {
  let size = 0;
  for (const message of task.history) size += partsSize(message.parts);
  for (const artifact of task.artifacts) size += partsSize(artifact.parts);
  return size;
}
