import { duration, type Static, Type } from '../../../core/index.ts';

export const McpOptions = Type.Object(
  {
    url: Type.Optional(
      Type.String({ minLength: 1, description: 'Where the server is reached: an http or https URL. This or command' }),
    ),
    command: Type.Optional(
      Type.String({ minLength: 1, description: 'The program that is started as the server. This or url' }),
    ),
    transport: Type.Optional(
      Type.Enum(['stdio', 'sse', 'streamable-http'], {
        description:
          'How the two talk. Default: stdio with command; with url streamable-http, and sse where the server does not speak that',
      }),
    ),
    args: Type.Optional(Type.Array(Type.String(), { description: 'Arguments of the command' })),
    env: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description:
          'Environment of the command, beside PATH, HOME, SHELL, TERM, USER and LOGNAME, which it always gets',
      }),
    ),
    working_directory: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Where the command runs, relative to the folder of the configuration. Default: that folder',
      }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ writeOnly: true }), {
        description: 'Sent with every request to the url',
      }),
    ),
    filter: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        uniqueItems: true,
        description: 'Names of the tools that are offered, as the server has them. Default: all',
      }),
    ),
    prefix: Type.Boolean({
      default: true,
      description: 'Whether the name of the entry stands before those of its tools: files_read instead of read',
    }),
    connect_timeout: duration('10s', 'How long the server may take to come up and to list its tools'),
    call_timeout: duration(
      '2m',
      'How long a call may go without a word from the server: progress starts it anew, ten times at most. 0: no limit',
    ),
  },
  { additionalProperties: false },
);

export type McpOptions = Static<typeof McpOptions>;
