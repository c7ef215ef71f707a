import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ChatMessage,
  type ExtensionPoints,
  HectorError,
  TextBuilder,
  type Tool,
} from '../../../core/index.ts';
import { transferPrefix as prefix } from '../control-tools.ts';
import { partsText } from '../part-text.ts';
import { type Conversation, openConversation } from './conversation.ts';
import { userMessage } from './user-message.ts';

type Host = ExtensionPoints['agent']['context'];

/** The run of one of them. */
interface Turn {
  readonly run: Agent['run'];
  readonly context: AgentContext;
  /** Whether it is one that can hand on the conversation. To be asked when it has run. */
  handsOn(): boolean;
}

/** How often one message may be handed from one agent to another. */
const maxTransfers = 10;

const parameters = {
  type: 'object',
  properties: { reason: { type: 'string', description: 'Why, and what the other one should know' } },
  additionalProperties: false,
};

export const transferTool = (name: string): string => `${prefix}${name}`;

/**
 * An agent that hands its conversation over to sub-agents. Whoever has it speaks to the caller, on the same session, and
 * has it until it hands it back: who that is, the transfers in the conversation say. One that cannot hand it back, such as
 * a workflow or an agent elsewhere, has it until it has answered.
 */
export function createTeam(host: Host, names: readonly string[], own: Agent['run']): Agent['run'] {
  const members = new Map(names.map((name) => [name, { agent: host.agent(name), about: host.agentDescription(name) }]));

  /** Each participant, with the tools by which it can hand on. */
  function take(speaker: string, context: AgentContext, conversation: Conversation, to: (name: string) => void): Turn {
    const session = conversation.session();
    const member = members.get(speaker);
    if (!member) {
      const tools = [...members].map(([name, { about }]) => {
        const what = about === undefined ? '' : ` (${about})`;
        return handover(
          name,
          `Hands the conversation over to the agent "${name}"${what}, which answers from then on.`,
          to,
        );
      });
      return { run: own, context: { ...context, session, tools: [...context.tools, ...tools] }, handsOn: () => true };
    }
    const back = handover(
      host.name,
      `Hands the conversation back to the agent "${host.name}", for what is not yours.`,
      to,
    );
    const tools = [...context.tools.filter(({ name }) => !name.startsWith(prefix)), back];
    let taken = false;
    const given = {
      ...context.forAgent(speaker, { session, tools }),
      task: context.task,
      get tools() {
        taken = true;
        return tools;
      },
    };
    // An agent that does not look at the tools it is given, or keeps no conversation, could never hand it back.
    return {
      run: (message, to) => member.agent.run(message, to),
      context: given,
      handsOn: () => taken && conversation.touched,
    };
  }

  return async function* run(message, context): AsyncGenerator<AgentEvent> {
    context.signal.throwIfAborted();
    const question = userMessage(message);
    const conversation = await openConversation(context.session);
    let speaker = holderOf(conversation.before, host.name, members);
    let separator = '';
    for (let transfers = 0; transfers <= maxTransfers; transfers++) {
      const next: { name?: string } = {};
      const part = take(speaker, context, conversation, (name) => {
        if (next.name !== undefined)
          throw new Error(`The conversation has been handed over to "${next.name}" already.`);
        next.name = name;
      });
      const said = new TextBuilder();
      let spoke = false;
      for await (const event of part.run(message, part.context)) {
        if (event.type === 'text') {
          yield spoke ? event : { ...event, delta: separator + event.delta };
          said.append(event.delta);
          spoke = true;
          continue;
        }
        if (event.type === 'input_required' || event.type === 'auth_required') {
          const asked = [said.toString(), partsText(event.parts)].filter(Boolean).join('\n\n');
          if (!conversation.touched) conversation.note(question, asked);
          await conversation.keep();
          yield event;
          return;
        }
        yield event;
      }
      if (spoke) separator = '\n\n';
      if (next.name === undefined) {
        const handsOn = part.handsOn();
        if (!conversation.touched) conversation.note(question, said.toString());
        if (!handsOn) conversation.handBack(transferTool(host.name));
        await conversation.keep();
        return;
      }
      speaker = next.name;
    }
    throw new HectorError(
      'too_many_transfers',
      `The agent "${host.name}" and its sub_agents handed one message to each other more than ${maxTransfers} times.`,
    );
  };
}

function handover(name: string, description: string, to: (name: string) => void): Tool {
  return {
    name: transferTool(name),
    description,
    parameters,
    final: true,
    execute() {
      to(name);
      return `The conversation is now with the agent "${name}".`;
    },
  };
}

/** Who has the conversation: transfers among others than the agent and its own sub-agents do not concern it. */
function holderOf(history: readonly ChatMessage[], self: string, members: ReadonlyMap<string, unknown>): string {
  let holder = self;
  for (const { parts } of history) {
    for (const part of parts) {
      if (part.type !== 'tool_call_response' || part.isError || !part.name.startsWith(prefix)) continue;
      const name = part.name.slice(prefix.length);
      if (name === self || (holder === self && members.has(name))) holder = name;
    }
  }
  return holder;
}
