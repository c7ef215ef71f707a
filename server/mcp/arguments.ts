/** What a tool is called with. */
export interface AskArguments {
  readonly message: string;
  readonly contextId?: string;
  readonly taskId?: string;
}

/** As long as the identifiers of the other protocols may be. */
const maxIdLength = 512;

/** The arguments, or what is wrong with them in words that a model can act on. */
export function readArguments(args: Readonly<Record<string, unknown>>): AskArguments | string {
  const { message } = args;
  if (typeof message !== 'string') return 'message is needed: a string that says what the agent is asked.';
  if (message === '') return 'message is empty.';
  const contextId = readId(args['context_id']);
  if (contextId === invalid) return `context_id must be a string of at most ${maxIdLength} characters.`;
  const taskId = readId(args['task_id']);
  if (taskId === invalid) return `task_id must be a string of at most ${maxIdLength} characters.`;
  return { message, ...(contextId !== undefined && { contextId }), ...(taskId !== undefined && { taskId }) };
}

const invalid = Symbol('invalid');

/** Models say `null` or an empty string where they have none. */
function readId(value: unknown): string | undefined | typeof invalid {
  if (value === undefined || value === null || value === '') return undefined;
  return typeof value === 'string' && value.length <= maxIdLength ? value : invalid;
}
