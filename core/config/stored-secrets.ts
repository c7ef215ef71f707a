import { errorMessage, HectorError } from '../errors.ts';
import type { SecretStore } from '../extension/secret-store.ts';
import type { Logger } from '../logger.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import { unlessAborted, within } from '../waiting.ts';
import { milliseconds } from './language/common.ts';
import { closest, listed } from './suggestion.ts';

/** A store as a configuration has it, checked. */
export interface DeclaredStore {
  readonly registered: RegisteredExtension<'secret'>;
  /** Checked, with their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What relative paths in its options start from. */
  readonly folder: string | undefined;
}

export type FoundSecret =
  | { readonly text: string }
  | { readonly problem: string; readonly suggestion?: string | undefined };

/** `name`: `vault:llm#key`. Nothing rejects: what is wrong is what is found. */
export interface SecretReader {
  /** `undefined`: what is wrong has been reported. */
  read(name: string): Promise<FoundSecret | undefined>;
  /** Several at a time; what became of each, `read` says. */
  readAll(names: Iterable<string>): Promise<void>;
}

/** Plugins and secret stores are read before there is any store. */
export const tooEarly: SecretReader = {
  read: async (name) => ({
    problem: `\${${name}} is not known here yet: plugins and secrets are read before any secret store, so they refer to \${env:…} and \${file:…} alone`,
  }),
  readAll: async () => undefined,
};

const openMs = 10_000;
const answerMs = 10_000;
const closeMs = 5_000;
const maxBytes = 1024 * 1024;
const atOnce = 8;

/**
 * The secrets of one load: each distinct reference is resolved once, and has one value for all of it. Stores are made when they
 * are first asked, and are open until this is disposed of.
 */
export class StoredSecrets implements SecretReader, AsyncDisposable {
  /** What stores have to say of their options. */
  readonly warnings: { readonly store: string; readonly message: string }[] = [];
  readonly #logger: Logger;
  readonly #found = new Map<string, Promise<FoundSecret>>();
  readonly #values = new Map<string, string>();
  readonly #opened = new Map<string, Promise<SecretStore>>();
  /** Why a store is not asked any more: the next question would take as long as the one before. */
  readonly #down = new Map<string, string>();
  #stores: ReadonlyMap<string, DeclaredStore> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** From now on references mean these; `undefined`: nobody knows which there are, and that has been reported. */
  use(stores: ReadonlyMap<string, DeclaredStore> | undefined): void {
    this.#stores = stores;
  }

  /** What has been read. */
  valueOf(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** After what time something of what was read may be another; `undefined`: nothing was read, or nobody wants to know. */
  get refreshMs(): number | undefined {
    const stores = new Set([...this.#found.keys()].map(storeIn));
    const intervals = [...stores].map((name) =>
      milliseconds(String(this.#stores?.get(name)?.options['refresh_interval'])),
    );
    const least = Math.min(...intervals.filter((ms) => ms > 0));
    return Number.isFinite(least) ? least : undefined;
  }

  async read(name: string): Promise<FoundSecret | undefined> {
    if (!this.#stores) return undefined;
    let found = this.#found.get(name);
    if (!found) {
      found = this.#resolve(storeIn(name), name.slice(storeIn(name).length + 1), this.#stores);
      this.#found.set(name, found);
    }
    const result = await found;
    if ('text' in result) this.#values.set(name, result.text);
    return result;
  }

  async readAll(names: Iterable<string>): Promise<void> {
    const waiting = new Set(names).values();
    const readSome = async () => {
      for (const name of waiting) await this.read(name);
    };
    await Promise.all(Array.from({ length: atOnce }, readSome));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#opened].map(([name, store]) => this.#close(name, store)));
  }

  async #resolve(name: string, reference: string, stores: ReadonlyMap<string, DeclaredStore>): Promise<FoundSecret> {
    const declared = stores.get(name);
    if (!declared) return unknown(name, [...stores.keys()]);
    const failed = (reason: string) => ({
      problem: `the secret store "${name}" does not give "${shortened(reference)}": ${reason}`,
    });
    const down = this.#down.get(name);
    if (down !== undefined) return failed(down);
    try {
      const store = await this.#open(name, declared);
      const value: unknown = await inTime(answerMs, 'no answer', (signal) => store.resolve(reference, signal));
      if (typeof value !== 'string')
        return failed(`it gave a ${typeof value}, which is no text. Tell the author of its plugin`);
      if (Buffer.byteLength(value) > maxBytes) return failed('it has more than 1 MiB');
      return { text: value };
    } catch (error) {
      if (error instanceof TooLate) this.#down.set(name, error.message);
      return failed(errorMessage(error).replace(/\.$/, ''));
    }
  }

  #open(name: string, { registered, options, folder }: DeclaredStore): Promise<SecretStore> {
    let opened = this.#opened.get(name);
    if (!opened) {
      const { extension } = registered;
      const create = async (signal: AbortSignal) =>
        extension.create(options as never, {
          name,
          logger: this.#logger.child({ secret_store: name }),
          signal,
          warn: (message) => void this.warnings.push({ store: name, message }),
          ...(folder !== undefined && { folder }),
        });
      opened = inTime(openMs, 'it did not come up', create);
      this.#opened.set(name, opened);
    }
    return opened;
  }

  async #close(name: string, opened: Promise<SecretStore>): Promise<void> {
    const store = await opened.catch(() => undefined);
    try {
      const closing = Promise.resolve(store?.[Symbol.asyncDispose]?.());
      if (!(await within(closeMs, closing))) this.#logger.warn({ secret_store: name }, 'a secret store does not close');
    } catch (error) {
      this.#logger.warn({ secret_store: name, reason: errorMessage(error) }, 'a secret store could not be closed');
    }
  }
}

const storeIn = (name: string) => name.slice(0, name.indexOf(':'));
const shortened = (text: string) => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);

class TooLate extends HectorError {
  constructor(what: string, ms: number) {
    super('secret_store', `${what} within ${ms / 1_000} s`);
  }
}

async function inTime<T>(ms: number, what: string, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(new TooLate(what, ms)), ms);
  const asked = (async () => ask(giveUp.signal))();
  try {
    return await unlessAborted(asked, giveUp.signal);
  } finally {
    clearTimeout(timer);
  }
}

function unknown(name: string, names: readonly string[]): FoundSecret {
  const suggestion = closest(name, ['env', 'file', ...names]);
  const none = `no secret store is named "${name}" ${listed('defined', names)}`;
  return suggestion === undefined
    ? { problem: `${none}. Write secrets.${name}; the default of a variable is written \${${name}:-…}` }
    : { problem: none, suggestion };
}
