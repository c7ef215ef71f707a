import { type Tool, Type } from '../../../core/index.ts';
import type { WebAccess } from './access.ts';
import { htmlText } from './html-text.ts';
import { decoded, isText, mediaType, readBody, shortened } from './reading.ts';

const accept = 'text/html,application/xhtml+xml,text/plain;q=0.9,text/markdown;q=0.9,application/json;q=0.8,*/*;q=0.5';
/** Of a page that says it is none, as much as tells why. */
const maxExcuse = 500;

/** A page, as a person would read it. */
export function fetchTool(access: WebAccess): Tool {
  const { limits, maxResponse, maxText, userAgent } = access;
  return {
    name: 'web_fetch',
    description:
      'Fetches a page of the web and returns its text: HTML without its markup, with links as [text](URL), and other text as it is.',
    parameters: {
      ...Type.Object(
        { url: Type.String({ minLength: 1, maxLength: 8_000, description: 'It begins with http:// or https://' }) },
        { additionalProperties: false },
      ),
    },
    idempotent: true,
    async execute({ url }, { signal }) {
      const headers = { accept, 'user-agent': userAgent };
      const response = await access.fetch(String(url), { headers, signal, ...limits });
      const body = await readBody(response, maxResponse);
      const type = mediaType(response);
      const where = response.url || String(url);
      if (!isText(type, body)) throw new Error(`${where} is ${type || 'no text'}, which cannot be read as text.`);
      const source = decoded(response, body);
      const isHtml = /html$/.test(type) || (type === '' && /^\s*<(!doctype html|html)\b/i.test(source));
      const { title, text } = isHtml ? htmlText(source, where) : { title: undefined, text: source };
      if (!response.ok) {
        const said = text.trim().slice(0, maxExcuse);
        throw new Error(`${where} answered ${response.status}${said === '' ? '' : `: ${said}`}`);
      }
      const heading = [title === undefined ? '' : `${title}\n`, where, '\n\n'].join('');
      return `${heading}${shortened(text, maxText, body.cut)}`;
    },
  };
}
