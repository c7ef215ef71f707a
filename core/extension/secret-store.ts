/**
 * Where secrets are kept: what `${vault:llm#key}` in a configuration stands for.
 *
 * A store is made when a configuration that refers to it is loaded, and disposed of when it has been loaded. `resolve` is asked
 * for each distinct reference once a load. While the configuration is followed it is loaded again every `refresh_interval`, so
 * a store keeps no values: a rotated secret is seen by asking again.
 */
export interface SecretStore extends Partial<AsyncDisposable> {
  /**
   * The value of what is written after the store's name: `llm#key`. Throws what is wrong and what to do, without a value in it;
   * the core adds the store, the reference and the line. What takes longer than ten seconds is given up: `signal` aborts then.
   */
  resolve(reference: string, signal: AbortSignal): Promise<string>;
}
