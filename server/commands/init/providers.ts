import type { Environment } from '../../../core/config/environment.ts';
import { isSupplied } from '../../../core/config/environment-options.ts';
import type { JsonSchema } from '../../../core/config/json-schema.ts';
import { HectorError } from '../../../core/errors.ts';
import type { Extension } from '../../../core/plugin/definition.ts';
import { Registry } from '../../../core/plugin/registry.ts';
import { builtins } from '../../../plugins/builtin.ts';

/** A provider of models that is in the box. */
export interface Provider {
  readonly name: string;
  readonly model: string;
  /** The variable that holds its key, or is to; absent where it needs none. */
  readonly keyVariable: string | undefined;
  readonly extension: Extension;
}

export interface Choice {
  readonly provider: Provider;
  readonly model: string;
}

/** In the order in which they are offered, which is that of their registration. The last, `echo`, needs nothing. */
export function providers(environment: Environment): readonly Provider[] {
  return new Registry(builtins).all('llm').map(({ extension }) => {
    const general = extension as unknown as Extension;
    const variables = general.environment?.['api_key'] ?? [];
    const { properties } = general.options as JsonSchema;
    const model = (properties as Readonly<Record<string, { default?: unknown }>> | undefined)?.['model']?.default;
    return {
      name: general.name,
      model: typeof model === 'string' ? model : '',
      keyVariable: variables.find((each) => environment.get(each)) ?? variables[0],
      extension: general,
    };
  });
}

/** As a start without a file chooses: the first whose key is in the environment, else the embedded model. */
export function supplied(all: readonly Provider[], environment: Environment): Provider {
  const keyed = all.filter(({ keyVariable }) => keyVariable !== undefined);
  const found = keyed.find(({ extension }) => isSupplied(extension, environment));
  const provider = found ?? all.find(({ name }) => name === 'echo');
  if (!provider) throw new HectorError('incomplete', 'This Hector has no LLM provider "echo".');
  return provider;
}

export function choiceOf(provider: Provider, model = provider.model): Choice {
  return { provider, model };
}
