import type { ConfigDocument, ConfigProvider } from '../../core/index.ts';

/** Enough for a source that polls, on a machine that is busy. */
const patienceMs = 30_000;

/** Watches a provider and keeps what it yields. */
export class Follower implements AsyncDisposable {
  readonly documents: ConfigDocument[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #wake = () => {};
  #failure: { readonly error: unknown } | undefined;

  constructor(provider: ConfigProvider) {
    this.#running = this.#follow(provider);
  }

  async #follow(provider: ConfigProvider): Promise<void> {
    try {
      for await (const document of provider.watch(this.#stop.signal)) {
        this.documents.push(document);
        this.#wake();
      }
      if (!this.#stop.signal.aborted) throw new Error('The watch has ended without being aborted');
    } catch (error) {
      this.#failure = { error };
      this.#wake();
    }
  }

  /** The newest document, once it is as wanted. */
  async until(wanted: string, is: (document: ConfigDocument) => boolean): Promise<ConfigDocument> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const newest = this.documents.at(-1);
      if (newest && is(newest)) return newest;
      const { promise, resolve } = deferred();
      this.#wake = resolve;
      const seen = `${this.documents.length} documents, the last ${JSON.stringify(newest?.text.slice(0, 100))}`;
      await waited(promise, `${wanted} (so far ${seen})`, Math.max(0, deadline - Date.now()));
    }
  }

  text(text: string): Promise<ConfigDocument> {
    return this.until(JSON.stringify(text.slice(0, 100)), (document) => document.text === text);
  }

  missing(): Promise<ConfigDocument> {
    return this.until('a missing document', (document) => document.missing === true);
  }

  revision(revision: string): Promise<ConfigDocument> {
    return this.until(`revision ${revision}`, (document) => document.revision === revision);
  }

  /** Throws what the watch has thrown. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await waited(this.#running, 'the end of the watch that was aborted');
    if (this.#failure) throw this.#failure.error;
  }
}

/** Fails with what was waited for. */
export async function waited<T>(promise: Promise<T>, wanted: string, ms = patienceMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms in vain for ${wanted}`)), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
