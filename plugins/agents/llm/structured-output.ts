import { type Artifact, type ChatMessage, type ChatRequest, errorMessage, HectorError } from '../../../core/index.ts';
import { schemaCheck } from './json-schema.ts';
import type { LlmAgentOptions } from './options.ts';

export type CheckedAnswer =
  | { readonly text: string; readonly value: unknown; readonly problem?: never }
  | { readonly problem: string };

/** An answer that must be JSON of a given shape. */
export interface StructuredOutput {
  /** What the model is asked for. */
  readonly request: NonNullable<ChatRequest['output']>;
  check(answer: string): CheckedAnswer;
  /** The value itself, beside the text. */
  artifact(value: unknown): Artifact;
  /** Asks the model to put right what is wrong. */
  correction(problem: string): ChatMessage;
  /** Why the task fails, when that did not help. */
  unsatisfied(problem: string): HectorError;
  /** Why the task fails, when the answer is not all there. */
  cutOff(model: string): HectorError;
}

const fence = /^```[\w-]*[ \t]*\r?\n([\s\S]*?)\r?\n?```$/;

export function createStructuredOutput(
  agent: string,
  { name, schema, strict }: NonNullable<LlmAgentOptions['structured_output']>,
): StructuredOutput {
  const check = compileOption(agent, schema);
  return {
    request: { name, schema, strict },
    check(answer) {
      const trimmed = answer.trim();
      const text = (fence.exec(trimmed)?.[1] ?? trimmed).trim();
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch (error) {
        return { problem: text === '' ? 'it is empty' : `it is not JSON: ${errorMessage(error)}` };
      }
      const problem = check(value);
      return problem === undefined ? { text, value } : { problem };
    },
    artifact: (value) => ({
      artifactId: 'structured_output',
      name,
      parts: [{ data: value, mediaType: 'application/json' }],
    }),
    correction: (problem) => {
      const text = `That answer does not satisfy the JSON Schema it must satisfy: ${problem}. Answer again, with the corrected JSON only.`;
      return { role: 'user', parts: [{ type: 'text', text }] };
    },
    unsatisfied: (problem) =>
      new HectorError(
        'invalid_answer',
        `The answer of the agent "${agent}" does not satisfy structured_output.schema, nor does a second attempt: ${problem}.`,
      ),
    cutOff: (model) =>
      new HectorError(
        'answer_cut_off',
        `The answer of the model "${model}" reached its output limit before its JSON was complete. Raise max_tokens of the LLM.`,
      ),
  };
}

function compileOption(agent: string, schema: Readonly<Record<string, unknown>>) {
  try {
    return schemaCheck(schema);
  } catch (error) {
    throw new HectorError(
      'invalid_options',
      `agents.${agent}.structured_output.schema: this is not a JSON Schema: ${errorMessage(error)}.`,
      { cause: error },
    );
  }
}
