import type { AgentContext, ChatMessage, Message } from '../../../core/index.ts';
import type { LlmAgentOptions } from './options.ts';
import { fillIn, type Variables } from './template.ts';

export type Instruction = (message: Message, context: AgentContext) => ChatMessage | undefined;

/** The system message: global instruction, role, system prompt or instruction, guidance, and when the work is done. */
export function createInstruction(options: LlmAgentOptions): Instruction {
  const { system_prompt, role, guidance } = options.prompt;
  const sections = [
    options.global_instruction,
    role?.trim() && roleSentence(role.trim()),
    system_prompt ?? options.instruction,
    guidance?.trim() && `Guidance:\n${guidance.trim()}`,
    options.reasoning.completion_instruction,
  ];
  const template = sections
    .map((section) => section?.trim())
    .filter(Boolean)
    .join('\n\n');
  if (template === '') return () => undefined;
  return (message, context) => ({
    role: 'system',
    parts: [{ type: 'text', text: fillIn(template, variables(message, context)) }],
  });
}

function roleSentence(role: string): string {
  return /^you\b/i.test(role) ? role : `Your role: ${role}`;
}

/**
 * What the variables of an instruction stand for:
 * `{agent}`, `{context_id}`, `{task_id}`, `{user}` (the caller's subject) and `{date}` (UTC), which a caller cannot set;
 * any other `{name}`, and `{temp:name}`, the message's `metadata.state`; `{user:name}` the caller's claims.
 * Nothing has a value for `{app:name}` yet.
 */
function variables(message: Message, context: AgentContext): Variables {
  const state = stateOf(message);
  return {
    '': {
      ...state,
      agent: context.agent,
      context_id: context.contextId,
      task_id: context.taskId,
      user: context.principal.subject,
      date: new Date().toISOString().slice(0, 10),
    },
    user: context.principal.claims,
    temp: state,
  };
}

function stateOf(message: Message): Readonly<Record<string, unknown>> {
  const state = message.metadata?.['state'];
  return typeof state === 'object' && state !== null && !Array.isArray(state) ? { ...state } : {};
}
