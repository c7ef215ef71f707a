import { randomUUID } from 'node:crypto';
import {
  type AgentContext,
  type AgentEvent,
  type ExtensionPoints,
  errorCode,
  errorMessage,
  HectorError,
  type Message,
  type Part,
  TextBuilder,
  type ToolContext,
} from '../../../core/index.ts';
import type { Outlet } from '../event-stream.ts';
import { partsText } from '../part-text.ts';
import type { Part as WorkPart } from '../progress.ts';
import type { AgentTool } from './loop/tool-call.ts';

type Host = ExtensionPoints['agent']['context'];

/** Makes the tools of one run: `outlet` is where what an agent brings beside its answer goes. */
type Delegates = (message: Message, context: AgentContext, outlet: () => Outlet) => readonly AgentTool[];

const parameters = {
  type: 'object',
  properties: {
    request: {
      type: 'string',
      minLength: 1,
      description: 'What the agent is to do, with all that it needs to know: it does not see this conversation',
    },
  },
  required: ['request'],
  additionalProperties: false,
};

/** Characters of an answer. */
const maxAnswer = 16 * 1024 * 1024;

/**
 * Other agents as tools, named like them. Each has a conversation of its own, in which it remembers what it was asked
 * before in this context. Its text is the tool's result; other artifacts become those of the task.
 */
export function createDelegates(host: Host, names: readonly string[]): Delegates {
  const agents = names.map((name) => ({
    name,
    description: describe(host, name),
    agent: host.agent(name),
  }));
  return (message, context, outlet) =>
    agents.map(({ name, description, agent }): AgentTool => {
      const continues = agent.resumable === true;
      const work = async ({ request }: Record<string, unknown>, { signal }: ToolContext, part?: WorkPart) => {
        const asked = requestOf(message, context, String(request));
        const answer = createAnswer(name, outlet());
        const heard = part?.hear(answer.state);
        if (heard) answer.restore(heard);
        const handover = { signal, streaming: false };
        const given = part ? part.context(name, handover, continues) : context.forAgent(name, handover);
        const task = { ...context.task, artifacts: [], history: [asked] };
        try {
          return await answer.of(agent.run(asked, { ...given, task }));
        } catch (error) {
          signal.throwIfAborted();
          throw new HectorError(
            errorCode(error) ?? 'agent_failed',
            `The agent "${name}" failed: ${errorMessage(error)}`,
            {
              cause: error,
            },
          );
        }
      };
      return {
        name,
        description,
        parameters,
        continues,
        execute: (args, call) => work(args, call),
        ask: work,
      };
    });
}

function describe(host: Host, name: string): string {
  const about = host.agentDescription(name);
  return `Asks the agent "${name}"${about === undefined ? '' : ` (${about})`}. It remembers what it was asked before.`;
}

function requestOf({ metadata }: Message, { taskId, contextId }: AgentContext, text: string): Message {
  const parts: readonly Part[] = [{ text }];
  const asked: Message = { messageId: randomUUID(), taskId, contextId, role: 'ROLE_USER', parts };
  return metadata ? { ...asked, metadata } : asked;
}

/** What an agent brought beside its text. */
interface Brought {
  readonly id: string;
  readonly label: string;
  readonly text: string;
}

/** What an agent has told so far. */
interface Heard {
  readonly said: string;
  readonly prefix: string;
  readonly brought: readonly Brought[];
}

/** Makes the result of a call of what an agent tells. */
function createAnswer(name: string, outlet: Outlet) {
  const text = new TextBuilder();
  let prefix = `${name}-${randomUUID().slice(0, 8)}`;
  const brought: Brought[] = [];
  return {
    state: (): Heard => ({ said: text.toString(), prefix, brought: [...brought] }),
    /** What the agent had told when it saved what it goes on from. */
    restore(heard: Heard): void {
      text.append(heard.said);
      prefix = heard.prefix;
      brought.push(...heard.brought);
    },
    async of(events: AsyncIterable<AgentEvent>): Promise<string> {
      for await (const event of events) {
        switch (event.type) {
          case 'text':
            if (text.length + event.delta.length > maxAnswer) {
              throw new HectorError('answer_too_large', `its answer is longer than ${maxAnswer} characters.`);
            }
            text.append(event.delta);
            break;
          case 'artifact': {
            const { artifactId, name: label = artifactId, parts } = event.artifact;
            if (!brought.some(({ id }) => id === artifactId) && brought.length < maxListed)
              brought.push({
                id: artifactId,
                label,
                text: parts.every((part) => 'data' in part) ? partsText(parts) : '',
              });
            await outlet.emit({ ...event, artifact: { ...event.artifact, artifactId: `${prefix}/${artifactId}` } });
            break;
          }
          case 'input_required':
            return question(name, 'needs to know more before it can go on, and asks', event.parts);
          case 'auth_required':
            return question(name, 'needs to be authorized before it can go on, and says', event.parts);
          default:
            await outlet.emit(event);
        }
      }
      const said = text.toString();
      const data = brought.map((each) => each.text).filter(Boolean);
      const answer = said === '' ? data.join('\n') : said;
      const others = brought.filter((each) => each.text === '').map(({ label }) => JSON.stringify(label));
      const note = others.length === 0 ? '' : `[Given to the user as well: ${others.join(', ')}]`;
      return [answer, note].filter(Boolean).join('\n\n') || `The agent "${name}" has ended and said nothing.`;
    },
  };
}

const maxListed = 100;

function question(name: string, what: string, parts: readonly Part[]): string {
  const asked = partsText(parts) || 'nothing in particular';
  return `The agent "${name}" ${what}:\n${asked}\n\nAnswer with a new request to it; ask the user for what you do not know.`;
}
