import { duration, filePath, HectorError, milliseconds, type Static, Type } from '../../../core/index.ts';

const webAddress = (description: string) => Type.Optional(Type.String({ pattern: '^https?://', description }));

export const RemoteAgentOptions = Type.Object(
  {
    url: webAddress(
      'Where the agent is: its card is at {url}/.well-known/agent-card.json. Beside a card: where messages go, whatever the card says',
    ),
    agent_card_url: webAddress('The agent card itself'),
    agent_card_file: Type.Optional(filePath('The agent card in a file, relative to the configuration')),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ writeOnly: true }), {
        description: 'Sent with every request, also for the card',
      }),
    ),
    timeout: duration(
      '30s',
      'How long the other side may be silent: while it is connected to, before it answers, and between events. Not for the whole work',
    ),
    transport: Type.Optional(
      Type.Enum(['jsonrpc', 'rest'], { description: 'default: the first of the card that is known here' }),
    ),
  },
  { additionalProperties: false },
);

export type RemoteAgentOptions = Static<typeof RemoteAgentOptions>;

/** What is wrong with the options that their schema cannot say. */
export function checkOptions(name: string, options: RemoteAgentOptions): void {
  const refuse = (what: string) => new HectorError('invalid_options', `agents.${name}: ${what}`);
  const { url, agent_card_url: cardUrl, agent_card_file: cardFile, headers = {} } = options;
  if (cardUrl !== undefined && cardFile !== undefined) {
    throw refuse('agent_card_url and agent_card_file say the same in two ways; remove one of them');
  }
  if (url === undefined && cardUrl === undefined && cardFile === undefined) {
    throw refuse('needs url, agent_card_url or agent_card_file, to know where the agent is');
  }
  for (const [key, text] of Object.entries({ url, agent_card_url: cardUrl })) {
    if (text === undefined) continue;
    if (!URL.canParse(text)) throw refuse(`${key} is not a URL`);
    const { username, password } = new URL(text);
    if (username || password) throw refuse(`${key} must not hold a name or password; use headers.Authorization`);
  }
  for (const [key, value] of Object.entries(headers)) {
    if (reserved.has(key.toLowerCase())) throw refuse(`headers must not set ${key}: Hector does`);
    try {
      new Headers([[key, value]]);
    } catch {
      throw refuse(`headers.${key} is not a header that HTTP can carry`);
    }
  }
  if (milliseconds(options.timeout) === 0) throw refuse('timeout must be more than 0');
}

const reserved = new Set([
  'accept',
  'connection',
  'content-length',
  'content-type',
  'host',
  'transfer-encoding',
  'a2a-version',
  'a2a-extensions',
  'x-a2a-extensions',
  'x-hector-agent-depth',
]);
