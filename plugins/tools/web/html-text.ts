import { entitiesDecoded } from './entities.ts';
import { TextFlow } from './text-flow.ts';

export interface ReadableText {
  readonly title: string | undefined;
  readonly text: string;
}

/** Elements of which nothing is read. */
const unread = new Set(['script', 'style', 'template', 'svg', 'noscript', 'iframe', 'object', 'canvas', 'select']);
const paragraphs = new Set(
  'address article aside blockquote dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section summary table ul'.split(
    ' ',
  ),
);

interface Tag {
  readonly name: string;
  readonly closes: boolean;
  readonly attributes: string;
  /** Where the text goes on. */
  readonly end: number;
}

/**
 * What a person would read of a page: text, headings, lists, and links as `[text](URL)`. One pass from left to right,
 * whatever the page is like.
 */
export function htmlText(html: string, base: string): ReadableText {
  const flow = new TextFlow();
  const links: (string | undefined)[] = [];
  let title: string | undefined;
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    flow.text(entitiesDecoded(html.slice(at, open < 0 ? undefined : open)));
    if (open < 0) break;
    const tag = tagAt(html, open);
    if (tag === undefined) {
      flow.text('<');
      at = open + 1;
      continue;
    }
    at = tag.end;
    const { name, closes, attributes } = tag;
    if (!closes && (unread.has(name) || name === 'title')) {
      const inner = innerEnd(html, name, at);
      if (name === 'title') title ??= entitiesDecoded(html.slice(at, inner.start)).replace(/\s+/g, ' ').trim();
      at = inner.end;
    } else if (name === 'a') {
      if (closes) flow.after(linkEnd(links.pop()));
      else {
        const target = linkTarget(attributes, base);
        links.push(target);
        if (target !== undefined) flow.before('[');
      }
    } else if (name === 'img' || name === 'br') {
      if (name === 'br') flow.breakLine(1);
      else flow.text(entitiesDecoded(attribute(attributes, 'alt') ?? ''));
    } else if (name === 'li' || name === 'tr') {
      flow.breakLine(1);
      if (name === 'li' && !closes) flow.before('- ');
    } else if ((name === 'td' || name === 'th') && closes) flow.after(' | ');
    else if (paragraphs.has(name)) {
      flow.breakLine(2);
      if (name === 'pre') flow.preformatted(!closes);
      else if (/^h[1-6]$/.test(name) && !closes) flow.before(`${'#'.repeat(Number(name[1]))} `);
    }
  }
  return { title: title || undefined, text: flow.toString() };
}

/** A tag, a comment or a declaration; the last two have no name. `undefined`: the `<` is just that. */
function tagAt(html: string, open: number): Tag | undefined {
  const nothing = (end: number): Tag => ({ name: '', closes: false, attributes: '', end: end < 0 ? html.length : end });
  if (html.startsWith('<!--', open)) {
    const end = html.indexOf('-->', open + 4);
    return nothing(end < 0 ? -1 : end + 3);
  }
  const next = html[open + 1] ?? '';
  if (next === '!' || next === '?') {
    const end = html.indexOf('>', open);
    return nothing(end < 0 ? -1 : end + 1);
  }
  const head = /^<(\/?)([a-z][a-z0-9-]*)/i.exec(html.slice(open, open + 64));
  if (!head) return undefined;
  const from = open + head[0].length;
  const end = tagEnd(html, from);
  const attributes = html.slice(from, end);
  return { name: head[2]?.toLowerCase() ?? '', closes: head[1] === '/', attributes, end: end + 1 };
}

/** The `>` that is within no value. */
function tagEnd(html: string, from: number): number {
  let quote = '';
  let last = '';
  for (let at = from; at < html.length; at++) {
    const char = html[at] ?? '';
    if (quote !== '') {
      if (char === quote) quote = '';
    } else if (char === '>') return at;
    else if ((char === '"' || char === "'") && last === '=') quote = char;
    if (!/\s/.test(char)) last = char;
  }
  return html.length;
}

function innerEnd(html: string, name: string, from: number): { readonly start: number; readonly end: number } {
  const closing = new RegExp(`</${name}(?=[\\s/>])[^>]*>?`, 'gi');
  closing.lastIndex = from;
  const found = closing.exec(html);
  return found ? { start: found.index, end: closing.lastIndex } : { start: html.length, end: html.length };
}

function attribute(attributes: string, name: string): string | undefined {
  const found = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(
    attributes.slice(0, 8_192),
  );
  return found?.[1] ?? found?.[2] ?? found?.[3];
}

function linkTarget(attributes: string, base: string): string | undefined {
  const href = entitiesDecoded(attribute(attributes, 'href') ?? '').trim();
  if (href === '' || href.startsWith('#') || !URL.canParse(href, base)) return undefined;
  const { protocol, href: target } = new URL(href, base);
  return /^https?:$/.test(protocol) ? target : undefined;
}

function linkEnd(target: string | undefined): string {
  return target === undefined ? '' : `](${target})`;
}
