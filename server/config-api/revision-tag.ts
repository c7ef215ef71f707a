import type { IncomingMessage } from 'node:http';
import type { ConfigDocument } from '../../core/extension/config-provider.ts';
import { HttpError } from '../http-error.ts';

/** The revision as an entity tag. Only what a tag cannot hold is encoded. */
export function tagOf(revision: string): string {
  return `"${revision.replace(/[^\x21\x23\x24\x26-\x2b\x2d-\x7e]+/gu, encodeURIComponent)}"`;
}

/** Whether one of the tags in a header is this one. A proxy that compresses makes them weak; they mean the same revision. */
export function isTagged(header: string, tag: string): boolean {
  return header.split(',').some((each) => each.trim().replace(/^W\//, '') === tag);
}

/**
 * The revision that a write may replace, `undefined` where it may only create. Throws a 412 where the source has moved
 * away from what the caller names.
 */
export function replaceable({ headers }: IncomingMessage, current: ConfigDocument): string | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  const now = current.missing ? undefined : current.revision;
  if (match !== undefined) {
    const matches = now !== undefined && (match.trim() === '*' || isTagged(match, tagOf(now)));
    if (!matches) throw movedOn(`If-Match is ${match}, and ${named(now)}`);
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*')
      throw new HttpError(400, 'bad_request', 'If-None-Match can only be * here: create, and replace nothing.');
    if (now !== undefined) throw movedOn(`If-None-Match is *, and ${named(now)}`);
  }
  return now;
}

export function isConditional({ headers }: IncomingMessage): boolean {
  return headers['if-match'] !== undefined || headers['if-none-match'] !== undefined;
}

function named(revision: string | undefined): string {
  return revision === undefined ? 'there is no configuration' : `the source has ${tagOf(revision)}`;
}

function movedOn(reason: string): HttpError {
  return new HttpError(
    412,
    'conflict',
    `Nothing was written: ${reason}. Read it again and apply the change to what it says now.`,
  );
}
