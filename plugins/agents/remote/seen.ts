import type { Artifact, Part } from '../../../core/index.ts';

/** How much of an artifact has been passed on: characters of plain text and other parts. */
export interface Extent {
  readonly text: number;
  readonly parts: number;
  /** Its text has become a part of the answer. */
  readonly answer: boolean;
}

/** Of the artifacts of a task that waits, so that what continues it brings nothing twice. */
export type Seen = Readonly<Record<string, Extent>>;

type PlainText = Part & { readonly text: string };

/** Text that is no file: adjacent pieces of it are one text, in however many parts they come. */
export function isPlainText(part: Part): part is PlainText {
  return 'text' in part && !part.filename && (!part.mediaType || /^text\/plain\b/i.test(part.mediaType));
}

export function plainText(parts: readonly Part[]): string {
  return parts
    .filter(isPlainText)
    .map(({ text }) => text)
    .join('');
}

export function extentOf({ parts }: Artifact): Extent {
  const text = plainText(parts).length;
  return { text, parts: parts.filter((part) => !isPlainText(part)).length, answer: false };
}
