import type {
  ChatMessage,
  RunEnd,
  RunStart,
  SessionKey,
  StoredTask,
  Task,
  TaskChange,
  TaskState,
  TaskStore,
} from '../../core/index.ts';

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

/** What was put of what was found. */
export const storedIn = (found: StoredTask | undefined): StoredTask | undefined =>
  found && { task: found.task, owner: found.owner, agent: found.agent };

/** A run of a task that is new, where nothing else is said. */
export const start = (id: string, { version = 0, ...wish }: Wish & { readonly version?: number } = {}): RunStart => ({
  task: stored({ id, state: 'TASK_STATE_WORKING', ...wish }),
  version,
  request: JSON.stringify({ asks: id }),
});

export const status = (state: TaskState, at = 1): Extract<TaskChange, { readonly type: 'status' }> => ({
  type: 'status',
  status: { state, timestamp: timestamp(at) },
});

export const text = (delta: string, append = true): TaskChange => ({
  type: 'artifact',
  artifact: { artifactId: 'response', parts: [{ text: delta }] },
  append,
  lastChunk: false,
});

/** The end of a run, after these changes. */
export function ending(
  taskId: string,
  changes: readonly TaskChange[] = [],
  state: TaskState = 'TASK_STATE_COMPLETED',
  at = 50,
): RunEnd & { readonly changes: readonly TaskChange[] } {
  const last = status(state, at);
  return { taskId, changes: [...changes, last], status: last.status };
}

/** Until it holds. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  for (const deadline = Date.now() + ms; ; ) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (Date.now() > deadline) throw new Error(`Waited ${ms} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Wanted {
  readonly owner?: string;
  readonly agent?: string;
  readonly contextId?: string;
  readonly state?: TaskState;
}

/** Of all tasks that are wanted, which fit on one page. */
export async function idsOf(tasks: TaskStore, wanted: Wanted = {}): Promise<string[]> {
  const { items, nextPageToken } = await tasks.list({ owner: 'ada', agent: 'writer', ...wanted, pageSize: 100 });
  if (nextPageToken !== undefined) throw new Error('A list that is complete has a next page');
  return items.map(({ task }) => task.id);
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

/** Names and texts that are long or odd. */
export const odd: readonly string[] = [
  `${'x'.repeat(5_000)}a`,
  `${'x'.repeat(5_000)}b`,
  'a\u0000b',
  'a\u0000c',
  '\ud800',
  '\udfff',
  "'; --",
  ' ',
];

/** Changes of every kind, in batches that also part what belongs together. */
export const batches: readonly (readonly TaskChange[])[] = [
  [text('naïve 漢字 \u0000 \ud83e', false)],
  // The second half of an owl.
  [text('\udd89 "quoted" \\ and\nlines'), text(''), text('x'.repeat(1024 ** 2))],
  [
    {
      type: 'artifact',
      artifact: {
        artifactId: 'files',
        name: 'files',
        description: 'Every kind of part',
        metadata: { '': 'an empty key', 'with.dot': 1, $dollar: 2, nul: '\u0000' },
        parts: [
          { raw: 'AAEC/w==', mediaType: 'image/png', filename: 'owl.png' },
          { url: 'https://example.com/a?b=c', metadata: { deep: { er: [1, 'two', null, true] } } },
          { data: { number: 1.5, none: null, list: [], 'a.b': '\ud800' } },
          { data: null },
        ],
      },
      append: false,
      lastChunk: true,
    },
    {
      type: 'status',
      status: {
        state: 'TASK_STATE_WORKING',
        timestamp: timestamp(7),
        message: { messageId: 'progress', role: 'ROLE_AGENT', parts: [{ text: 'half \ud83e' }] },
      },
    },
  ],
  [text(' \udfff end')],
];

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
