import type { RunStore, StorageBackend } from '../../core/index.ts';

export interface StorageConformance {
  /** The runner's own: `test` of node:test, `it` of vitest. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** An empty backend, with room for a hundred tasks and conversations and 1,200 messages of one. Disposed after each test. */
  create(): StorageBackend | Promise<StorageBackend>;
  /** A second backend over what the first has stored, as another process would open it. Left out by those that keep nothing. */
  reopen?(): StorageBackend | Promise<StorageBackend>;
}

/** A test that is given an empty backend of its own. */
export type WithBackend = (name: string, run: (backend: StorageBackend) => Promise<void>) => unknown;

/** The same of a backend that keeps tasks at work. Passes with one that does not. */
export type WithRuns = (name: string, run: (runs: RunStore, backend: StorageBackend) => Promise<void>) => unknown;

export const withBackend =
  ({ test, create }: StorageConformance): WithBackend =>
  (name, run) =>
    test(`storage: ${name}`, async () => {
      const backend = await create();
      try {
        await run(backend);
      } finally {
        await backend[Symbol.asyncDispose]?.();
      }
    });

export const withRuns =
  (conformance: StorageConformance): WithRuns =>
  (name, run) =>
    withBackend(conformance)(name, async (backend) => {
      if (backend.runs) await run(backend.runs, backend);
    });

/** A second backend over what the first has stored, for as long as it is used. */
export async function reopened(
  reopen: () => StorageBackend | Promise<StorageBackend>,
  use: (backend: StorageBackend) => Promise<void>,
): Promise<void> {
  const again = await reopen();
  try {
    await use(again);
  } finally {
    await again[Symbol.asyncDispose]?.();
  }
}
