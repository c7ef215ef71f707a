import type { ConfigSource } from '../source.ts';

/** What the commands ask of a source: to be read, written with its history, and checked against. */
export type EditableSource = Pick<ConfigSource, 'provider' | 'source' | 'history' | 'read' | 'load'>;
