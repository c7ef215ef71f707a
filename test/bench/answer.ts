/**
 * What the model says, known on both sides: the load checks that every token of it arrived, once and in order.
 * Every token is `tokenLength` characters of ASCII, so the length of a text says how many tokens it holds.
 */
export const tokenLength = 8;

const text = (tokens: number): string =>
  Array.from({ length: tokens }, (_, index) => ` t${String(index).padStart(tokenLength - 2, '0')}`).join('');

const answers = new Map<number, string>();

export function answer(tokens: number): string {
  const known = answers.get(tokens) ?? text(tokens);
  answers.set(tokens, known);
  return known;
}

/** The tokens of an answer that makes a completion of about 0.47 KB of JSON. */
export const shortAnswer = 24;

export interface AnswerShape {
  readonly tokens: number;
  /** Milliseconds between two chunks of a streamed answer; 0 sends as fast as the reader reads. */
  readonly every: number;
}

/** The model's `base_url` for an answer of this shape: the path is all the model needs to know. */
export const modelPath = ({ tokens, every }: AnswerShape): string => `/tokens/${tokens}/every/${every}/v1`;

export function shapeOf(path: string): AnswerShape | undefined {
  const match = /^\/tokens\/(\d{1,6})\/every\/(\d{1,5})\/v1\/chat\/completions$/.exec(path);
  return match === null ? undefined : { tokens: Number(match[1]), every: Number(match[2]) };
}

/** What the load asks, about 170 bytes: the same words whoever is asked. */
export const question = 'Please summarise the state of the harbour at dawn in one short paragraph.';

export const chatBody = (stream: boolean): string =>
  JSON.stringify({ model: 'bench', messages: [{ role: 'user', content: question }], temperature: 0.7, stream });
