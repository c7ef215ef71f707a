import type { TOptional, TSchema, TString } from 'typebox';
import { Type } from './type.ts';

/** What an option of an extension can refer to by name. */
export type ReferenceTarget = 'llm' | 'agent' | 'tool' | 'document_store';

/** The keyword under which a schema says that its string is a name defined elsewhere in the configuration. */
export const referenceKeyword = 'x-reference';

/**
 * The name of something else in the configuration. Marked in the schema, so that names are checked (with "did you
 * mean"), cycles of agents are found, and an instance is rebuilt when what it refers to has changed.
 */
export function reference(target: ReferenceTarget, description: string): TString {
  return Type.String({ description, [referenceKeyword]: target });
}

/** A list of names. Absent means all there are, and of agents none; an empty list means none. */
export function references(target: ReferenceTarget, description: string): TOptional<TSchema> {
  return Type.Optional(Type.Array(Type.String({ [referenceKeyword]: target }), { description, uniqueItems: true }));
}

/** The keyword under which a schema says that its string is the path of a file. */
export const fileKeyword = 'x-file';

/**
 * The path of a file, relative to the folder of the configuration. What the file says counts as a part of the
 * configuration: it is followed, and an instance is made anew when it has changed.
 */
export function filePath(description: string): TString {
  return Type.String({ minLength: 1, description, [fileKeyword]: 'file' });
}

/** Likewise of a module, of which `#name` after the path may pick one export. Of what it imports nothing is followed. */
export function modulePath(description: string): TString {
  return Type.String({ minLength: 1, description, [fileKeyword]: 'module' });
}

export interface FoundReference {
  readonly target: ReferenceTarget;
  readonly path: readonly (string | number)[];
  readonly name: string;
}

export interface FoundReferences {
  readonly names: readonly FoundReference[];
  /** Targets of which a list was left out, which means all there are. */
  readonly all: ReadonlySet<ReferenceTarget>;
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly [referenceKeyword]?: ReferenceTarget;
}

/** The names that checked options refer to, found by the marks in their schema. */
export function findReferences(schema: TSchema, options: unknown): FoundReferences {
  const names: FoundReference[] = [];
  const all = new Set<ReferenceTarget>();
  const visit = (node: SchemaNode, value: unknown, path: readonly (string | number)[]): void => {
    const target = node[referenceKeyword];
    if (target && typeof value === 'string') names.push({ target, path, name: value });
    const listed = node.items?.[referenceKeyword];
    if (listed && listed !== 'agent' && value === undefined) all.add(listed);
    if (node.items && Array.isArray(value)) {
      for (const [index, item] of value.entries()) visit(node.items, item, [...path, index]);
    }
    if (!node.properties) return;
    const owner = (value ?? {}) as Readonly<Record<string, unknown>>;
    for (const [key, child] of Object.entries(node.properties)) visit(child, owner[key], [...path, key]);
  };
  visit(schema as SchemaNode, options, []);
  return { names, all };
}
