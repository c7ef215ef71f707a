import type { ConfigProvider } from '../../core/index.ts';

/** A key with nothing at it, and the source's own client, which changes what is there behind the provider's back. */
export interface ConfigProviderHarness {
  readonly provider: ConfigProvider;
  /** The same on another key, one that ends in `/`, with nothing below it. */
  readonly prefix?: ConfigProvider;
  /** Puts a text at the provider's key, or removes it. */
  change(text: string | undefined): Promise<void>;
  /** The same for one entry below the prefix, `agents/writer`. */
  changeEntry?(path: string, text: string | undefined): Promise<void>;
  /** Ends all of it, the providers too. */
  dispose(): Promise<void>;
}

/** A test that is given a harness of its own. */
export type WithHarness = (name: string, run: (harness: ConfigProviderHarness) => Promise<void>) => unknown;
