import { errorMessage } from '../errors.ts';

export interface JsonProblem {
  readonly offset: number;
  readonly message: string;
}

/** What makes a text no JSON, and where; `undefined` when it is. The message holds nothing of the text but a character. */
export function jsonProblem(text: string): JsonProblem | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    // Some of the messages go on with a piece of the text, which may be a secret, where others have the place.
    const [reason = ''] = errorMessage(error).split(/, (?:\.{3})?"| in JSON at position /);
    return {
      offset: misfit(text),
      message: `this is not JSON, which "format: json" asks for: ${reason.charAt(0).toLowerCase()}${reason.slice(1)}`,
    };
  }
}

const lexeme =
  /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.])|(?:true|false|null)(?!\w))/uy;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end';

/** The offset of the first lexeme that cannot stand where it is; the end, where something is missing. */
function misfit(text: string): number {
  const open: string[] = [];
  let expected: Expected = 'value';
  lexeme.lastIndex = 0;
  for (let at = 0; ; at = lexeme.lastIndex) {
    lexeme.lastIndex = at;
    const match = lexeme.exec(text);
    const blank = /[ \t\r\n]*/y;
    blank.lastIndex = at;
    blank.test(text);
    if (!match) return blank.lastIndex;
    const next: Expected | undefined = after(expected, match[1], match[2] !== undefined, open);
    if (next === undefined) return blank.lastIndex;
    expected = next;
  }
}

/** What may follow a lexeme; `undefined` when it may not be here. */
function after(expected: Expected, mark: string | undefined, isText: boolean, open: string[]): Expected | undefined {
  const inMap = open.at(-1) === '{';
  if (expected === ':') return mark === ':' ? 'value' : undefined;
  if (expected === ', or end') {
    if (mark === ',' && open.length > 0) return inMap ? 'key' : 'value';
    if (open.length === 0 || mark !== (inMap ? '}' : ']')) return undefined;
    open.pop();
    return ', or end';
  }
  const closes = (expected === 'key or }' && mark === '}') || (expected === 'value or ]' && mark === ']');
  if (closes) {
    open.pop();
    return ', or end';
  }
  if (expected.startsWith('key')) return isText ? ':' : undefined;
  if (mark === '{' || mark === '[') {
    open.push(mark);
    return mark === '{' ? 'key or }' : 'value or ]';
  }
  return mark === undefined ? ', or end' : undefined;
}
