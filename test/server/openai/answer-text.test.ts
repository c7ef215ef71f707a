import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Artifact, Task } from '../../../core/a2a.ts';
import type { TaskEvent } from '../../../core/task/event.ts';
import { TaskFold } from '../../../core/task/fold.ts';
import { AnswerText } from '../../../server/openai/answer-text.ts';

const ids = { taskId: 't', contextId: 'c' };
const empty: Task = {
  id: 't',
  contextId: 'c',
  status: { state: 'TASK_STATE_WORKING', timestamp: '2026-01-01T00:00:00Z' },
  artifacts: [],
  history: [],
};
const piece = (artifactId: string, parts: Artifact['parts'], append: boolean): TaskEvent => ({
  type: 'artifact',
  ...ids,
  artifact: { artifactId, parts },
  append,
  lastChunk: false,
});

const events: readonly TaskEvent[] = [
  piece('r', [{ text: 'one ' }], false),
  piece('r', [{ text: 'two' }], true),
  piece('f', [{ url: 'https://example.com/a.png', mediaType: 'image/png' }, { data: [1] }], false),
  piece('f', [{ text: 'about it' }], true),
  piece('g', [{ text: 'three' }], false),
];

test('a reader that has fallen behind misses nothing and hears nothing twice, wherever it was', () => {
  const whole = new AnswerText();
  const all = events.map((event) => whole.event(event)).join('');
  assert.equal(all, 'one two\n\n![file](https://example.com/a.png)\n\n```json\n[\n  1\n]\n```\n\nabout it\n\nthree');
  for (let heard = 0; heard <= events.length; heard++) {
    for (let until = heard; until <= events.length; until++) {
      const answer = new AnswerText();
      const fold = new TaskFold(empty);
      let text = answer.event({ type: 'task', task: empty });
      events.slice(0, heard).forEach((event) => {
        fold.apply(event);
        text += answer.event(event);
      });
      for (const event of events.slice(heard, until)) fold.apply(event);
      text += answer.event({ type: 'task', task: fold.snapshot() });
      for (const event of events.slice(until)) text += answer.event(event);
      assert.equal(text, all, `${heard} heard one by one, then all until ${until}`);
    }
  }
});

test('markdown in what an agent gives ends neither a link nor a block early', () => {
  const answer = new AnswerText();
  const text = answer.event(
    piece('f', [{ url: 'https://x/a)b <c>', filename: 'a](evil)[b' }, { data: '```\nout' }], false),
  );
  assert.equal(text, '[a (evil) b](https://x/a%29b%20%3Cc%3E)\n\n````json\n"```\\nout"\n````');
});
