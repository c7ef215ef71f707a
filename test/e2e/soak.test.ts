import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summary, verdict } from '../soak/report.ts';
import { type SoakOptions, soak } from '../soak/soak.ts';

/** `npm run soak` in small. */
const short: SoakOptions = {
  reloads: 60,
  streams: 12,
  streamSeconds: 3,
  concurrency: 20,
  drain: true,
  store: 'file',
  paceMs: 0,
};

test('60 reloads under load: no request failed, no stream cut, no answer mixed, nothing left behind', async () => {
  const report = await soak(short);
  assert.deepEqual(verdict(report), [], summary(report, verdict(report)));
  assert.ok(report.streamsEnded >= short.streams, `only ${report.streamsEnded} long streams`);
  for (const kind of ['SendMessage', 'SendStreamingMessage', 'card', 'list'])
    assert.ok((report.answers[kind] ?? 0) > 20, `only ${report.answers[kind]} of ${kind}`);
});

test('without a drain the same soak fails, because streams are cut', async () => {
  const report = await soak({ ...short, reloads: 20, streams: 6, streamSeconds: 2, drain: false });
  const wrong = verdict(report).join('\n');
  assert.match(wrong, /^\d+ streams were cut$/m);
  assert.match(report.examples.join('\n'), /cut: .*(TASK_STATE_FAILED.*configuration was replaced)/);
  assert.doesNotMatch(wrong, /mixed|already replaced/);
});
