import { type TOptional, type TSchema, type TString, Type } from 'typebox';

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

/** A list of names. Absent means all there are; an empty list means none. */
export function references(target: ReferenceTarget, description: string): TOptional<TSchema> {
  return Type.Optional(Type.Array(Type.String({ [referenceKeyword]: target }), { description, uniqueItems: true }));
}
