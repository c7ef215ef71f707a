import assert from 'node:assert/strict';
import { errorCode } from '../../../core/errors.ts';
import type { StorageBackend } from '../../../core/extension/storage-backend.ts';
import { type StorageModel, storageModel } from './property-model.ts';

/** A backend and the model of it. Every method throws where the two differ. */
export class Pair {
  readonly real: StorageBackend;
  readonly model: StorageModel = storageModel();
  /** Where whoever follows a task is, in both. Gone when the task begins anew: what was before is then part of it. */
  readonly #followed = new Map<string, { readonly real: number; readonly model: number }>();
  readonly #sequences = new Map<string, number>();

  constructor(real: StorageBackend) {
    this.real = real;
  }

  /** The same answer from both, or the same error. */
  async same<T>(
    call: (backend: StorageBackend) => Promise<T> | undefined,
    form: (answer: T) => unknown = (each) => each,
  ) {
    const outcome = async (backend: StorageBackend) => {
      try {
        const answer = await call(backend);
        return answer === undefined ? undefined : form(answer);
      } catch (error) {
        if (errorCode(error) === 'storage_conflict') return 'storage_conflict';
        throw error;
      }
    };
    const real = await outcome(this.real);
    assert.deepEqual(real, await outcome(this.model));
  }

  async found(id: string): Promise<void> {
    const real = await this.real.tasks.get(id);
    const model = await this.model.tasks.get(id);
    assert.deepEqual(real && { ...real, sequence: 0 }, model && { ...model, sequence: 0 });
    if (!real) {
      this.#sequences.delete(id);
      this.#followed.delete(id);
      return;
    }
    assert.ok(real.sequence >= (this.#sequences.get(id) ?? 0), `the sequence of ${id} falls`);
    this.#sequences.set(id, real.sequence);
  }

  async listed(query: Omit<Parameters<StorageBackend['tasks']['list']>[0], 'pageSize'>, pageSize: number) {
    await this.same(async ({ tasks }) => {
      const pages: unknown[][] = [];
      for (let pageToken: string | undefined; ; ) {
        const page = await tasks.list({ ...query, pageSize, ...(pageToken !== undefined && { pageToken }) });
        pages.push(page.items.map(({ task, owner, agent }) => ({ task, owner, agent })));
        pageToken = page.nextPageToken;
        if (pageToken === undefined) return pages;
      }
    });
  }

  /** Which of them are claimed first is not said. */
  async claimed(holder: string, limit: number): Promise<void> {
    const real = (await this.real.runs?.claim(holder, limit)) ?? [];
    const ids = real.map(({ task }) => task.task.id);
    const claimable = this.model.claimable();
    assert.deepEqual(
      ids.filter((id) => !claimable.includes(id)),
      [],
      'claimed what could not be claimed',
    );
    assert.equal(new Set(ids).size, Math.min(limit, claimable.length), `of ${claimable} were claimed ${ids}`);
    const plain = (run: (typeof real)[number]) => ({ ...run, savedAt: '', task: { ...run.task, sequence: 0 } });
    assert.deepEqual(real.map(plain), this.model.take(holder, ids).map(plain));
  }

  /** What has been recorded since it was asked last. */
  async followed(id: string): Promise<void> {
    const at = this.#followed.get(id) ?? {
      real: (await this.real.tasks.get(id))?.sequence ?? 0,
      model: (await this.model.tasks.get(id))?.sequence ?? 0,
    };
    const real = await this.real.runs?.follow(id, at.real);
    const model = await this.model.runs.follow(id, at.model);
    assert.deepEqual(real && { ...real, sequence: 0 }, model && { ...model, sequence: 0 });
    if (!real || !model) return;
    assert.equal(real.sequence, (await this.real.tasks.get(id))?.sequence);
    // Half of the time it stays, and is told the same again.
    if (!this.#followed.has(id) || model.sequence % 2)
      this.#followed.set(id, { real: real.sequence, model: model.sequence });
  }

  beginsAnew(id: string): void {
    this.#followed.delete(id);
  }
}
