import type { ChatMessage, SessionKey, StoredTask, Task, TaskState } from '../../core/index.ts';

export const session: SessionKey = { owner: 'ada', agent: 'writer', contextId: 'context' };

/** ISO 8601, a second apart, in the past so that nothing is ahead of the clock. */
export const timestamp = (at: number) => new Date(Date.UTC(2025, 0, 1, 0, 0, at)).toISOString();

interface Wish {
  readonly task?: Task;
  readonly id?: string;
  readonly at?: number;
  readonly owner?: string;
  readonly agent?: string;
  readonly contextId?: string;
  readonly state?: TaskState;
}

export function stored({
  task,
  id = 'task',
  at = 0,
  owner = 'ada',
  agent = 'writer',
  contextId = 'context',
  state = 'TASK_STATE_COMPLETED',
}: Wish): StoredTask {
  return {
    owner,
    agent,
    task: task ?? { id, contextId, status: { state, timestamp: timestamp(at) }, artifacts: [], history: [] },
  };
}

/** Until the clock shows another millisecond. */
export async function pass(): Promise<void> {
  const before = Date.now();
  while (Date.now() === before) await new Promise((resolve) => setTimeout(resolve, 1));
}

export const textOf = ({ parts: [part] }: ChatMessage) => (part?.type === 'text' ? part.text : undefined);

export const said = (text: string): ChatMessage => ({ role: 'user', parts: [{ type: 'text', text }] });

export const everything: Task = {
  id: 'everything',
  contextId: 'context',
  status: {
    state: 'TASK_STATE_INPUT_REQUIRED',
    timestamp: timestamp(5),
    message: {
      messageId: 'm2',
      taskId: 'everything',
      contextId: 'context',
      role: 'ROLE_AGENT',
      parts: [{ text: 'Which one?' }],
    },
  },
  artifacts: [
    {
      artifactId: 'a1',
      name: 'response',
      description: 'An answer',
      parts: [
        { text: 'naïve 漢字 🦉 \u0000 "quoted" \\ and\nlines' },
        { raw: 'AAEC/w==', mediaType: 'image/png', filename: 'owl.png' },
        { url: 'https://example.com/a?b=c', metadata: { deep: { er: [1, 'two', null, true] } } },
        { data: { number: 1.5, none: null, list: [] } },
        { data: null },
        { text: '' },
      ],
      metadata: { '': 'an empty key', 'with.dot': 1, $dollar: 2 },
    },
  ],
  history: [
    {
      messageId: 'm1',
      contextId: 'context',
      taskId: 'everything',
      role: 'ROLE_USER',
      parts: [{ text: 'hello' }],
      metadata: { from: 'a test' },
      extensions: ['https://example.com/extension'],
      referenceTaskIds: ['another'],
    },
  ],
  metadata: { kind: 'complete' },
};

export const conversation: readonly ChatMessage[] = [
  {
    role: 'user',
    parts: [
      { type: 'text', text: 'Look at this: naïve 漢字 🦉' },
      { type: 'file', mediaType: 'image/png', data: new Uint8Array([0, 1, 2, 254, 255]), filename: 'owl.png' },
      { type: 'file', mediaType: 'application/pdf', url: 'https://example.com/owl.pdf' },
    ],
  },
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', text: 'An owl.', signature: 'c2lnbmVk' },
      { type: 'reasoning', text: '', redacted: 'ZW5jcnlwdGVk' },
      { type: 'tool_call', id: 'call-1', name: 'search', arguments: { query: 'owl', limit: 3, deep: [{ a: null }] } },
      { type: 'tool_call', id: 'call-2', name: 'search', arguments: 'not json' },
    ],
  },
  {
    role: 'tool',
    parts: [
      { type: 'tool_call_response', id: 'call-1', name: 'search', response: 'found' },
      {
        type: 'tool_call_response',
        id: 'call-2',
        name: 'search',
        response: [
          { type: 'text', text: 'bad arguments' },
          { type: 'file', mediaType: 'image/png', data: new Uint8Array([7]) },
        ],
        isError: true,
      },
    ],
  },
  { role: 'assistant', parts: [{ type: 'text', text: 'An owl.' }] },
];
