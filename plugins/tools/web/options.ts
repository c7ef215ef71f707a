import { byteSize, duration, type Static, Type } from '../../../core/index.ts';

export const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

const domains = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ pattern: '^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$' }), { description }),
  );

export const WebOptions = Type.Object(
  {
    allowed_domains: domains('Hosts ("api.example.com", "*.example.com") that may be asked for; default: all'),
    denied_domains: domains('Hosts that may not be asked for, also where they are allowed'),
    allowed_methods: Type.Array(Type.Enum(methods), {
      default: [...methods],
      minItems: 1,
      description: 'What web_request may send',
    }),
    timeout: duration('30s', 'For a whole request, with redirects and body'),
    max_redirects: Type.Integer({ minimum: 0, maximum: 3, default: 3 }),
    max_request_size: byteSize('1MiB', 'The longest body that web_request may send'),
    max_response_size: byteSize('10MiB', 'How much of an answer is read, unpacked'),
    max_text: Type.Integer({
      minimum: 100,
      maximum: 1_000_000,
      default: 50_000,
      description: 'How many characters of an answer the model gets to read',
    }),
    user_agent: Type.String({ default: 'Hector/2.0', minLength: 1, maxLength: 200, pattern: '^[\\x20-\\x7e]+$' }),
  },
  { additionalProperties: false },
);

export type WebOptions = Static<typeof WebOptions>;
