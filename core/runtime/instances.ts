import { hashOf } from '../config/canonical.ts';
import { errorMessage, HectorError } from '../errors.ts';
import { type ExtensionPoints, type PointName, points } from '../extension/points.ts';
import type { Logger } from '../logger.ts';
import type { RegisteredExtension } from '../plugin/registry.ts';
import type { Bundle, Held } from './bundle.ts';
import type { Holdings } from './holdings.ts';
import type { Opened, Pooled } from './pooled.ts';

/** What an instance must be able to do: what is checked of the objects that plugins return. */
const methods: Readonly<Record<PointName, readonly string[]>> = {
  config: ['watch'],
  llm: ['chat'],
  storage: ['ping'],
  auth: ['authenticate'],
  toolset: ['tools'],
  document_store: ['search'],
  agent: ['run'],
  secret: ['resolve'],
};

export interface InstanceRequest<P extends PointName> {
  readonly registered: RegisteredExtension<P>;
  /** Its place in the configuration: `llms.default`. */
  readonly place: string;
  readonly options: object;
  /** What else the instance is made from: the keys of the instances that it uses. */
  readonly madeFrom?: readonly string[];
  /** The instances that it uses: they stay open for as long as it does. */
  readonly uses?: readonly Instance<PointName>[];
  context(): ExtensionPoints[P]['context'];
  /** Applied once, to the new instance. */
  wrap?(instance: ExtensionPoints[P]['instance']): ExtensionPoints[P]['instance'];
}

/** Equal keys mean that the instance is the same. */
export type Instance<P extends PointName> = Pooled<ExtensionPoints[P]['instance']>;

export interface Deadlines {
  readonly createMs: number;
  readonly disposeMs: number;
}

/**
 * Makes the instances of one generation, or takes over those of an earlier one that were made from the same.
 *
 * A plugin stays naive: its `create` is called once for each set of options, its dispose once after the last generation
 * has let go, what it throws is told with its name, and one that hangs is given up.
 */
export class Instances {
  readonly #holdings: Holdings;
  readonly #logger: Logger;
  readonly #deadlines: Deadlines;

  constructor(holdings: Holdings, logger: Logger, deadlines: Deadlines) {
    this.#holdings = holdings;
    this.#logger = logger;
    this.#deadlines = deadlines;
  }

  take<P extends PointName>(request: InstanceRequest<P>): Promise<Instance<P>> {
    const { registered, place, options, madeFrom = [], uses = [] } = request;
    const { extension, plugin } = registered;
    const key = `${place}#${hashOf([plugin.name, extension.point, extension.name, digestOf(options), madeFrom])}`;
    return this.#holdings.take(key, () => open(request, this.#logger, this.#deadlines), uses);
  }

  /** What an instance is asked while a generation is built: one that never answers must not hold it up. */
  async ask<T>(place: string, asked: () => Promise<T>): Promise<T> {
    const { createMs } = this.#deadlines;
    return within(asked(), createMs).catch((error: unknown) => {
      if (error !== late) throw error;
      throw new HectorError('plugin_hangs', `${place} did not answer within ${createMs / 1000} s.`);
    });
  }

  /** Holds what an earlier generation holds; `false` where that has been closed. */
  carry(held: Held): boolean {
    return this.#holdings.carry(held);
  }

  /** Holds each group of what it holds already as one thing. */
  bundle(groups: readonly (readonly Instance<PointName>[])[]): readonly Bundle[] {
    return this.#holdings.bundle(groups);
  }
}

/** Options are frozen, so what has been hashed once need not be again. */
const digests = new WeakMap<object, string>();

export function digestOf(options: object): string {
  const known = digests.get(options) ?? hashOf(options);
  digests.set(options, known);
  return known;
}

async function open<P extends PointName>(
  request: InstanceRequest<P>,
  logger: Logger,
  { createMs, disposeMs }: Deadlines,
): Promise<Opened<ExtensionPoints[P]['instance']>> {
  const { registered, place, options, wrap } = request;
  const { extension, plugin } = registered;
  const who = `the ${points[extension.point].noun} "${extension.name}" of the plugin "${plugin.name}"`;

  const creating = (async () => extension.create(options as never, request.context()))();
  const created = await within(creating, createMs).catch((error: unknown) => {
    if (error === late) {
      // Should it come after all, nobody will use it.
      creating.then(
        (instance) => (instance as Partial<AsyncDisposable> | undefined)?.[Symbol.asyncDispose]?.(),
        () => undefined,
      );
      throw new HectorError('plugin_hangs', `${who} did not come up within ${createMs / 1000} s.`);
    }
    const origin = plugin.name.startsWith('hector/') ? '' : ` (${who})`;
    throw new HectorError('plugin_failed', `${errorMessage(error)}${origin}`, { cause: error });
  });

  const missing = methods[extension.point].find(
    (name) => typeof (created as unknown as Record<string, unknown> | null)?.[name] !== 'function',
  );
  if (missing !== undefined) {
    throw new HectorError(
      'plugin_contract',
      `${who} returned something without a method "${missing}". That is an error of the plugin.`,
    );
  }
  const value = wrap ? wrap(created) : created;
  return typeof created[Symbol.asyncDispose] === 'function'
    ? { value, close: closing(created, plugin.name, place, logger, disposeMs) }
    : { value };
}

/**
 * Outside of `open`, so that nothing of the request lives on with it: an instance that is carried over from generation to
 * generation must not keep the first one's configuration.
 */
function closing(
  created: Partial<AsyncDisposable>,
  plugin: string,
  place: string,
  logger: Logger,
  disposeMs: number,
): () => Promise<void> {
  return async () => {
    try {
      await within(Promise.resolve(created[Symbol.asyncDispose]?.()), disposeMs);
    } catch (error) {
      const err = error === late ? new Error(`not closed within ${disposeMs / 1000} s`) : error;
      logger.error({ err, plugin, instance: place }, 'an instance was not closed cleanly');
    }
  };
}

const late = Symbol('late');

/** Rejects with `late` when the promise has not settled in time. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
