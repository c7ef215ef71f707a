import { setTimeout as sleep } from 'node:timers/promises';
import { type ConfigDocument, type ConfigProvider, errorCode, errorMessage } from '../../core/index.ts';

/** Watches as the core does: again and again, when that throws. Disposes the provider with itself. */
export class Following<P extends ConfigProvider = ConfigProvider> implements AsyncDisposable {
  readonly documents: ConfigDocument[] = [];
  /** What watching has thrown: the code, a colon, the message. */
  readonly failures: string[] = [];
  readonly provider: P;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(provider: P) {
    this.provider = provider;
    this.#running = this.#run(this.#stop.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const document of this.provider.watch(signal)) this.documents.push(document);
      } catch (error) {
        this.failures.push(`${errorCode(error)}: ${errorMessage(error)}`);
        await sleep(250, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  get text(): string | undefined {
    return this.documents.at(-1)?.text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.provider[Symbol.asyncDispose]?.();
  }
}
