import type { PointName } from '../extension/points.ts';
import type { Extension } from '../plugin/definition.ts';
import type { Registry } from '../plugin/registry.ts';
import type { Environment } from './environment.ts';
import { instancePlaces } from './instances.ts';
import type { JsonSchema } from './json-schema.ts';
import { type ConfigTree, get } from './tree.ts';

interface Options {
  readonly registry: Registry;
  readonly environment: Environment;
  readonly secrets: Set<string>;
  /** Of the instances of this point alone. */
  readonly only?: PointName;
}

/** The first of the variables that is set to something. */
function firstSet(variables: readonly string[], environment: Environment): string | undefined {
  return variables.find((name) => (environment.get(name) ?? '') !== '');
}

/**
 * The variables without which an extension is of no use, one list for each option: those of its required options, or where
 * none is required (a key that only the usual endpoint asks for) those of the option that it lists first.
 */
export function decisiveVariables({ environment, options }: Extension): readonly (readonly string[])[] {
  const read = Object.entries(environment ?? {});
  const { required = [], properties } = options as JsonSchema;
  const needed = read.filter(([option]) => required.includes(option) && properties?.[option]?.default === undefined);
  return (needed.length > 0 ? needed : read.slice(0, 1)).map(([, variables]) => variables);
}

/** Whether the environment holds what the extension needs of it. */
export function isSupplied(extension: Extension, environment: Environment): boolean {
  const options = decisiveVariables(extension);
  return options.length > 0 && options.every((variables) => firstSet(variables, environment) !== undefined);
}

/** Options that an extension reads from the environment when they are absent, as if `${VAR}` had been written. */
export function fillFromEnvironment(tree: ConfigTree, { registry, environment, secrets, only }: Options): void {
  for (const { point, options, selector } of instancePlaces(tree.root)) {
    if (only !== undefined && point !== only) continue;
    const name = get(options, selector);
    const extension = typeof name === 'string' ? registry.find(point, name)?.extension : undefined;
    for (const [option, variables] of Object.entries(extension?.environment ?? {})) {
      const variable = Object.hasOwn(options, option) ? undefined : firstSet(variables, environment);
      if (variable === undefined) continue;
      const value = environment.get(variable) as string;
      secrets.add(value);
      tree.set(options, option, value, { reference: `\${${variable}}`, implied: true });
    }
  }
}
