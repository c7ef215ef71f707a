import { createHash } from 'node:crypto';
import type { Context } from '../request.ts';
import { sendJson } from './reply.ts';

/** A JSON document that is ready to be sent: as text, which Node puts into one write with the headers. */
export interface Document {
  readonly text: string;
  readonly etag: string;
  /** In seconds. */
  readonly modified: number;
}

export function documentOf(text: string, modified: number): Document {
  return { text, modified, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` };
}

/** Whether anybody may keep it, or only its reader. */
export type Audience = 'public' | 'private';

/** Any web page may read a document that anybody may read, also where `server.cors` says nothing. */
export function sendDocument(ctx: Context, document: Document, audience: Audience): void {
  const { res } = ctx;
  const { text, etag, modified } = document;
  res.setHeader('Cache-Control', audience === 'public' ? 'public, max-age=60' : 'private, no-cache');
  res.setHeader('ETag', etag);
  // The protocol forbids a time that is still to come.
  res.setHeader('Last-Modified', httpDate(Math.min(modified, Math.floor(Date.now() / 1_000))));
  if (audience === 'public' && !res.hasHeader('Access-Control-Allow-Origin'))
    res.setHeader('Access-Control-Allow-Origin', '*');
  if (isKnown(ctx, document)) ctx.status = 304;
  else sendJson(ctx, 200, text);
}

/** A tag says more than a time: where there is one, the time is not looked at. */
function isKnown({ req }: Context, { etag, modified }: Document): boolean {
  const { 'if-none-match': tags, 'if-modified-since': since } = req.headers;
  if (tags !== undefined) {
    return tags.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
  }
  return since !== undefined && Date.parse(since) / 1_000 >= modified;
}

let latest: { readonly seconds: number; readonly text: string } = { seconds: -1, text: '' };

function httpDate(seconds: number): string {
  if (latest.seconds !== seconds) latest = { seconds, text: new Date(seconds * 1_000).toUTCString() };
  return latest.text;
}
