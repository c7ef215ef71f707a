import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type WindowName, windowAt } from '../../../server/rate-limiting/windows.ts';

const cases: readonly [window: WindowName, at: string, start: string, end: string][] = [
  ['minute', '2026-03-01T12:34:56.789Z', '2026-03-01T12:34:00Z', '2026-03-01T12:35:00Z'],
  ['minute', '2026-03-01T12:34:00.000Z', '2026-03-01T12:34:00Z', '2026-03-01T12:35:00Z'],
  ['minute', '2026-03-01T12:34:59.999Z', '2026-03-01T12:34:00Z', '2026-03-01T12:35:00Z'],
  ['hour', '2026-03-01T23:59:59.999Z', '2026-03-01T23:00:00Z', '2026-03-02T00:00:00Z'],
  ['day', '2026-12-31T23:59:59.999Z', '2026-12-31T00:00:00Z', '2027-01-01T00:00:00Z'],
  // 2026-03-02 is a Monday.
  ['week', '2026-03-01T23:59:59.999Z', '2026-02-23T00:00:00Z', '2026-03-02T00:00:00Z'],
  ['week', '2026-03-02T00:00:00.000Z', '2026-03-02T00:00:00Z', '2026-03-09T00:00:00Z'],
  ['month', '2026-02-28T23:59:59.999Z', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z'],
  ['month', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
  ['month', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
];

for (const [window, at, start, end] of cases) {
  test(`the ${window} that ${at} is in`, () => {
    assert.deepEqual(windowAt(window, Date.parse(at)), { start: Date.parse(start), end: Date.parse(end) });
  });
}
