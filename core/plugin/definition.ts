import type { Static, TSchema } from 'typebox';
import type { ExtensionPoints, PointName } from '../extension/points.ts';

/** The version of the contract between Hector and its plugins. */
export const apiVersion = 1;

/** One thing that a plugin provides: a way to make instances for one extension point. */
export interface Extension<P extends PointName = PointName, S extends TSchema = TSchema> {
  readonly point: P;
  /** What the configuration selects it by: `provider: openai`. */
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its options, an object. Becomes part of `hector schema`; `create` gets checked options, defaults filled in. */
  readonly options: S;
  /** Options that, when absent, are read from the first of these environment variables that is set. */
  readonly environment?: Readonly<Record<string, readonly string[]>>;
  /** Points whose instances its context must hold (a toolset that searches uses `document_store`). */
  readonly uses?: readonly PointName[];
  /**
   * Construct, provision and validate; cleanup is the instance's `Symbol.asyncDispose`. There is no other lifecycle.
   * Method syntax, so that a list can hold extensions whose options differ.
   */
  create(
    options: Static<S>,
    context: ExtensionPoints[P]['context'],
  ): Promise<ExtensionPoints[P]['instance']> | ExtensionPoints[P]['instance'];
}

export interface Plugin {
  /** The version of this contract that the plugin was written for. */
  readonly apiVersion: 1;
  readonly name: string;
  readonly provides: readonly Extension[];
}

type Definition<P extends PointName, S extends TSchema> = Omit<Extension<P, S>, 'point'>;

/** Identity functions: they check types and nothing else, so a plain object will do as well. */
export const definePlugin = (plugin: Plugin): Plugin => plugin;

const of =
  <P extends PointName>(point: P) =>
  <S extends TSchema>(definition: Definition<P, S>): Extension<P, S> => ({ point, ...definition });

export const configProvider = of('config');
export const llmProvider = of('llm');
export const storageBackend = of('storage');
export const authScheme = of('auth');
export const toolset = of('toolset');
export const documentStore = of('document_store');
export const agentKind = of('agent');
export const secretStore = of('secret');
