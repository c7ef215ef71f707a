import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { duration, section } from './common.ts';

export const LlmTimeouts = section(
  {
    connect: duration('10s', 'Until the connection stands'),
    first_token: duration('60s', 'From the request to the first byte of the answer, when it is streamed'),
    between_tokens: duration('60s', 'Between two pieces of a streamed answer'),
    total: duration('10m', 'For the whole answer'),
  },
  'How long to wait for the model; 0 waits for ever',
);

export const LlmRetries = section(
  {
    max: Type.Integer({
      minimum: 0,
      maximum: 2,
      default: 2,
      description: 'Further attempts before the first byte of an answer',
    }),
    max_delay: duration('30s', 'The longest wait between two attempts, whatever Retry-After says'),
  },
  'Retries on 408, 409, 429, 5xx, 529 and network errors, with jitter',
);

/** What every LLM has, whoever provides it. */
export const llmCommon = {
  timeouts: LlmTimeouts,
  retries: LlmRetries,
  max_answer_size: Type.String({
    default: '4MiB',
    pattern: '^[0-9]+(\\.[0-9]+)?\\s*(B|KB|MB|GB|KiB|MiB|GiB)?$',
    description: 'An answer that is larger fails the call',
    'x-format': 'size',
  }),
};

export const LlmConfig = Type.Object({ provider: Type.String(), ...llmCommon });
export type LlmConfig = Static<typeof LlmConfig> & Readonly<Record<string, unknown>>;
