import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionText } from '../../../../server/commands/sessions/session-text.ts';

test('a conversation as people read it, and nothing that a terminal would obey', () => {
  const text = sessionText([
    {
      role: 'user',
      parts: [
        { type: 'text', text: 'Two\nlines\u001b[2J\n' },
        { type: 'file', mediaType: 'image/png', filename: 'a.png', data: new Uint8Array(3) },
      ],
    },
    {
      role: 'assistant',
      parts: [
        { type: 'reasoning', text: 'hm' },
        { type: 'reasoning', text: '', redacted: 'x' },
        { type: 'tool_call', id: '1', name: 'add', arguments: { a: 1 } },
      ],
    },
    {
      role: 'tool',
      parts: [
        { type: 'tool_call_response', id: '1', name: 'add', response: 'no\nway', isError: true },
        {
          type: 'tool_call_response',
          id: '2',
          name: 'look',
          response: [
            { type: 'text', text: 'here:' },
            { type: 'file', mediaType: 'image/png', url: 'https://x/y' },
          ],
        },
      ],
    },
  ]);
  assert.equal(
    text,
    `User
  Two
  lines\u241b[2J
  [a.png, image/png, 3 bytes]

Agent
  (thinking) hm
  (thinking) encrypted
  → add {"a":1}

Tool
  ← add (error) no way
  ← look here: [image/png, https://x/y]
`,
  );
});
