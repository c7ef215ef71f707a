import type { Secrets } from '../../core/config/secrets.ts';
import type { ConfigProvider } from '../../core/extension/config-provider.ts';

/** The same provider, whose errors tell none of the secrets that it was made with: a server may repeat what it was sent. */
export function discreet(provider: ConfigProvider, secrets: Secrets): ConfigProvider {
  const { write, annex } = provider;
  return {
    async *watch(signal) {
      try {
        yield* provider.watch(signal);
      } catch (error) {
        throw withoutSecrets(error, secrets);
      }
    },
    ...(write && {
      write: (content, expected, signal) =>
        write.call(provider, content, expected, signal).catch((error: unknown) => {
          throw withoutSecrets(error, secrets);
        }),
    }),
    ...(annex && { annex }),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.();
    },
  };
}

/** It stays the error that it is, with its code. */
function withoutSecrets(error: unknown, secrets: Secrets): unknown {
  if (error instanceof Error) error.message = secrets.redact(error.message);
  return error;
}
