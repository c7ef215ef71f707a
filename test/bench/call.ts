import { type AnswerShape, chatBody, modelPath, question } from './answer.ts';

/** A request, and how to tell a right answer from an error that came with 200. */
export interface Call {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  /** `[<id>]` becomes an id that no other request has. */
  readonly body?: string;
  readonly expect: string;
}

const jsonHeaders = { 'content-type': 'application/json' };

const rpc = (method: string) =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method,
    params: { message: { messageId: '[<id>]', role: 'ROLE_USER', parts: [{ text: question }] } },
  });

/** A chat completion by the model, or by what stands in front of it. */
export const chat = (origin: string, shape: AnswerShape, stream = false): Call => ({
  url: `${origin}${modelPath(shape)}/chat/completions`,
  method: 'POST',
  headers: jsonHeaders,
  body: chatBody(stream),
  expect: '"chat.completion"',
});

export const echo = (origin: string): Call => ({
  url: origin,
  method: 'POST',
  headers: jsonHeaders,
  body: chatBody(false),
  expect: '"messages"',
});

export const get = (url: string, expect: string): Call => ({ url, method: 'GET', headers: {}, expect });

export const sendMessage = (origin: string, agent: string): Call => ({
  url: `${origin}/agents/${agent}`,
  method: 'POST',
  headers: { ...jsonHeaders, 'a2a-version': '1.0' },
  body: rpc('SendMessage'),
  expect: '"TASK_STATE_COMPLETED"',
});

export const sendStreamingMessage = (origin: string, agent: string): Call => ({
  url: `${origin}/agents/${agent}`,
  method: 'POST',
  headers: { ...jsonHeaders, accept: 'text/event-stream', 'a2a-version': '1.0' },
  body: rpc('SendStreamingMessage'),
  expect: '"TASK_STATE_COMPLETED"',
});
