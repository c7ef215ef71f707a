import { type Tool, Type } from '../../../core/index.ts';
import type { WebAccess } from './access.ts';
import { decoded, isText, mediaType, readBody, shortened } from './reading.ts';

/** Headers that are the connection's, or would say that the request comes from somebody else. */
const reserved =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive|user-agent|forwarded|x-forwarded-.*|x-real-ip|x-hector-.*|proxy-.*)$/i;

const bodiless = new Set(['GET', 'HEAD']);

/** One request, as the model writes it. It is sent once, whatever comes of it. */
export function requestTool(access: WebAccess, allowed: readonly string[]): Tool {
  const { limits, maxRequest, maxResponse, maxText, userAgent } = access;
  return {
    name: 'web_request',
    description: 'Sends an HTTP request and returns the status, the headers and the body of the answer.',
    parameters: {
      ...Type.Object(
        {
          method: Type.Optional(Type.Enum([...allowed], { description: `Default: ${defaultMethod(allowed)}` })),
          url: Type.String({ minLength: 1, maxLength: 8_000, description: 'It begins with http:// or https://' }),
          headers: Type.Optional(Type.Record(Type.String(), Type.String())),
          body: Type.Optional(Type.String({ description: 'Text, JSON for example; say which in Content-Type' })),
        },
        { additionalProperties: false },
      ),
    },
    async execute(args, { signal }) {
      const { method = defaultMethod(allowed), url, headers = {}, body } = args as unknown as RequestArguments;
      if (body !== undefined && bodiless.has(method)) throw new Error(`A ${method} request has no body.`);
      if (body !== undefined && Buffer.byteLength(body) > maxRequest) {
        throw new Error(`The body is longer than ${maxRequest} bytes, which is the most that may be sent.`);
      }
      const sent = { ...headersOf(headers), 'user-agent': userAgent };
      const response = await access.fetch(url, { method, headers: sent, body, signal, ...limits });
      const read = await readBody(response, maxResponse);
      const type = mediaType(response);
      const said = isText(type, read)
        ? shortened(decoded(response, read), maxText, read.cut)
        : `[${read.bytes.length}${read.cut ? ' or more' : ''} bytes of ${type || 'something'} that is no text]`;
      return {
        url: response.url || url,
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: said,
      };
    },
  };
}

interface RequestArguments {
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

function defaultMethod(allowed: readonly string[]): string {
  return allowed.includes('GET') ? 'GET' : (allowed[0] ?? 'GET');
}

function headersOf(given: Readonly<Record<string, string>>): Record<string, string> {
  const wrong = Object.keys(given).find((name) => reserved.test(name));
  if (wrong !== undefined) throw new Error(`The header "${wrong}" cannot be set.`);
  try {
    return Object.fromEntries(new Headers(given));
  } catch {
    throw new Error('A header has a name or a value that HTTP cannot carry.');
  }
}
