import { coming, duration, reference, references, type Static, section, Type } from '../../../core/index.ts';

const summaries = 'summarizing the conversation';

export const LlmAgentOptions = Type.Object(
  {
    llm: reference('llm', 'The model that answers; default: defaults.llm'),
    tools: references('tool', 'Entries of `tools`, or single tools of theirs; absent: all, []: none'),
    document_stores: references('document_store', 'What the agent may search; absent: all, []: none'),
    include_context: Type.Boolean({
      default: false,
      description: 'Search the document stores for each message, and give the model the passages found',
    }),
    include_context_limit: Type.Integer({
      minimum: 1,
      maximum: 50,
      default: 5,
      description: 'At most this many passages',
    }),
    include_context_max_length: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 500,
      description: 'Characters of one passage',
    }),
    instruction: Type.Optional(
      Type.String({ description: 'How the agent behaves: the system prompt. `{name}` stands for a variable' }),
    ),
    global_instruction: Type.Optional(Type.String({ description: 'Goes before the instruction' })),
    prompt: section(
      {
        system_prompt: Type.Optional(Type.String({ description: 'Replaces the instruction' })),
        role: Type.Optional(Type.String({ description: 'Who the agent is; goes before the instruction' })),
        guidance: Type.Optional(Type.String({ description: 'Goes after the instruction' })),
      },
      'The system prompt in parts',
    ),
    reasoning: section(
      {
        max_iterations: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 100,
          description: 'Model calls for one message; a task that needs more fails',
        }),
        enable_exit_tool: Type.Boolean({
          default: false,
          description: 'As a step of a loop the agent may end it, by the tool exit_loop',
        }),
        enable_escalate_tool: Type.Boolean({
          default: false,
          description: 'As a step of a loop the agent may give it up with a reason, by the tool escalate',
        }),
        termination_conditions: Type.Optional(
          Type.Array(Type.String(), {
            description:
              'Accepted, and without effect: no_tool_calls, escalate, transfer and input_required always end the loop',
          }),
        ),
        completion_instruction: Type.Optional(
          Type.String({ description: 'When the work is done; goes to the end of the instruction' }),
        ),
      },
      'The loop of model calls and tool calls',
    ),
    context: section(
      {
        strategy: Type.Enum(['none', 'buffer_window', 'token_window', 'summary_buffer'], {
          default: 'none',
          description: 'How much of the conversation the model is given; none: all of it',
        }),
        window_size: Type.Integer({ minimum: 1, default: 20, description: 'buffer_window: earlier messages' }),
        budget: Type.Integer({ minimum: 1, default: 8000, description: 'token_window: tokens, estimated' }),
        preserve_recent: Type.Integer({
          minimum: 0,
          default: 5,
          description: 'token_window: messages that are kept whatever they cost',
        }),
        threshold: Type.Optional(coming(Type.Number({ minimum: 0, maximum: 1 }), summaries)),
        target: Type.Optional(coming(Type.Number({ minimum: 0, maximum: 1 }), summaries)),
        summarizer_llm: Type.Optional(coming(Type.String(), summaries)),
      },
      'What the model is given of the conversation so far',
    ),
    structured_output: Type.Optional(
      Type.Object(
        {
          schema: Type.Unsafe<Readonly<Record<string, unknown>>>({
            type: 'object',
            additionalProperties: true,
            description: 'JSON Schema that the answer satisfies',
          }),
          strict: Type.Boolean({ default: true, description: 'Let the model provider enforce the schema, if it can' }),
          name: Type.String({
            pattern: '^[a-zA-Z0-9_-]{1,64}$',
            default: 'response',
            description: 'What the model and the artifact call it',
          }),
        },
        { additionalProperties: false, description: 'The answer is JSON, checked against a schema' },
      ),
    ),
    max_tool_output_length: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'Characters of one tool result; more is cut off. 0: only the built-in bound of 1 MiB',
    }),
    max_parallel_tools: Type.Integer({
      minimum: 1,
      maximum: 128,
      default: 8,
      description: 'Tool calls of one turn that run at the same time',
    }),
    tool_timeout: duration(
      '2m',
      'For one tool call; 0 waits for ever. Agents called as tools have bounds of their own',
    ),
    sub_agents: references('agent', 'Agents that the conversation can be handed over to; absent: none'),
    agent_tools: references('agent', 'Agents that can be called as tools, each by its name; absent: none'),
  },
  { additionalProperties: false },
);

type Checked = Static<typeof LlmAgentOptions>;

/** What a list of names is made of, the schema alone does not say. */
export type LlmAgentOptions = Omit<Checked, 'sub_agents' | 'agent_tools'> & {
  readonly sub_agents?: readonly string[];
  readonly agent_tools?: readonly string[];
};
