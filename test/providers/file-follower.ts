import type { TestContext } from 'node:test';
import type { ConfigDocument, ConfigProvider } from '../../core/index.ts';
import plugin from '../../providers/file.ts';
import { createInstance, extensionContext } from '../support/extension.ts';
import { until } from '../support/until.ts';

export const provider = (path: string): Promise<ConfigProvider> =>
  createInstance<'config'>(plugin, { path }, extensionContext());

/** The document as it is now. */
export async function first(watched: ConfigProvider): Promise<ConfigDocument> {
  for await (const document of watched.watch(new AbortController().signal)) return document;
  throw new Error('watch returned');
}

export interface Followed {
  readonly documents: readonly ConfigDocument[];
  /** The newest: its text, or `undefined` where there is none. */
  now(): string | undefined;
  /** Waits for it to be the newest. */
  is(text: string | undefined): Promise<void>;
  readonly following: Promise<void>;
  stop(): Promise<void>;
  failure(): unknown;
}

/** Follows a file until the test is over. */
export async function follow(t: Pick<TestContext, 'after'>, path: string): Promise<Followed> {
  const controller = new AbortController();
  const watched = await provider(path);
  const documents: ConfigDocument[] = [];
  let failure: unknown;
  const following = (async () => {
    for await (const document of watched.watch(controller.signal)) documents.push(document);
  })().catch((error: unknown) => {
    failure = error;
  });
  const stop = async () => {
    controller.abort();
    await following;
  };
  t.after(stop);
  const now = () => (documents.at(-1)?.missing ? undefined : documents.at(-1)?.text);
  const is = (text: string | undefined) =>
    until(() => {
      if (failure !== undefined) throw failure;
      return documents.length > 0 && now() === text;
    });
  await until(() => documents.length === 1 || failure !== undefined);
  return { documents, now, is, following, stop, failure: () => failure };
}
