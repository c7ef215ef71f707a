import {
  type Agent,
  type AgentContext,
  type AgentEvent,
  type ChatMessage,
  type ExtensionPoints,
  HectorError,
  type Message,
  messageFromJson,
  messageToJson,
  TextBuilder,
  type Tool,
  unlessAborted,
} from '../../../core/index.ts';
import { transferPrefix as prefix } from '../control-tools.ts';
import { partsText } from '../part-text.ts';
import { type Part, Progress } from '../progress.ts';
import { type Conversation, openConversation } from './conversation.ts';
import { userMessage } from './user-message.ts';

type Host = ExtensionPoints['agent']['context'];

/** What a team is continued from. */
interface TeamState {
  readonly speaker: string;
  readonly transfers: number;
  /** To the conversation, by those that have spoken before: who speaks adds what it has to say when it has said it. */
  readonly added: readonly string[];
  /** Of the one that speaks. */
  readonly said: string;
  readonly spoke: boolean;
  readonly separator: string;
  readonly next?: string;
}

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
export function createTeam(host: Host, names: readonly string[], own: Agent): Agent {
  const members = new Map(names.map((name) => [name, { agent: host.agent(name), about: host.agentDescription(name) }]));
  const resumable = own.resumable === true && [...members.values()].every(({ agent }) => agent.resumable === true);

  /** Each participant, with the tools by which it can hand on. */
  function take(
    speaker: string,
    context: AgentContext,
    conversation: Conversation,
    part: Part | undefined,
    to: (name: string) => void,
  ): Turn {
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
      const given = part ? part.within(context) : context;
      return {
        run: own.run,
        context: { ...given, session, tools: [...context.tools, ...tools] },
        handsOn: () => true,
      };
    }
    const back = handover(
      host.name,
      `Hands the conversation back to the agent "${host.name}", for what is not yours.`,
      to,
    );
    const tools = [...context.tools.filter(({ name }) => !name.startsWith(prefix)), back];
    let taken = false;
    const given = {
      ...(part ? part.context(speaker, { session, tools }, true) : context.forAgent(speaker, { session, tools })),
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

  async function* run(message: Message, context: AgentContext): AsyncGenerator<AgentEvent> {
    const { signal } = context;
    signal.throwIfAborted();
    const progress = await Progress.open<TeamState>(context, { kind: 'team', version: 1, state: () => state() });
    const restored = progress?.restored;
    const question = userMessage(message);
    const conversation = await openConversation(context.session, restored?.added.map(messageFromJson));
    let speaker = restored?.speaker ?? holderOf(conversation.before, host.name, members);
    if (speaker !== host.name && !members.has(speaker)) {
      throw new HectorError(
        'checkpoint_unreadable',
        `The work of the agent "${host.name}" cannot be continued: "${speaker}", which had the conversation, is no longer one of its sub_agents. Send the message again.`,
      );
    }
    let transfers = restored?.transfers ?? 0;
    let separator = restored?.separator ?? '';
    let next = restored?.next;
    let said = new TextBuilder(restored?.said);
    let spoke = restored?.spoke ?? false;
    let added = restored?.added ?? [];
    const state = (): TeamState => ({
      speaker,
      transfers,
      added,
      said: said.toString(),
      spoke,
      separator,
      ...(next !== undefined && { next }),
    });
    while (transfers <= maxTransfers) {
      const part = progress?.part(String(transfers));
      const turn = take(speaker, context, conversation, part, (name) => {
        if (next !== undefined && next !== name)
          throw new Error(`The conversation has been handed over to "${next}" already.`);
        next = name;
      });
      for await (const event of turn.run(message, turn.context)) {
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
      if (next === undefined) {
        const handsOn = turn.handsOn();
        if (!conversation.touched) conversation.note(question, said.toString());
        if (!handsOn) conversation.handBack(transferTool(host.name));
        await conversation.keep();
        return;
      }
      if (spoke) separator = '\n\n';
      speaker = next;
      next = undefined;
      said = new TextBuilder();
      spoke = false;
      transfers++;
      part?.over();
      if (progress) {
        added = conversation.added.map(messageToJson);
        await unlessAborted(progress.save('tool_call'), signal);
      }
    }
    throw new HectorError(
      'too_many_transfers',
      `The agent "${host.name}" and its sub_agents handed one message to each other more than ${maxTransfers} times.`,
    );
  }

  return { resumable, run };
}

function handover(name: string, description: string, to: (name: string) => void): Tool {
  return {
    name: transferTool(name),
    description,
    parameters,
    final: true,
    idempotent: true,
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
