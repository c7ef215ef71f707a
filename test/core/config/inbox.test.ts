import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../../core/config/backoff.ts';
import { Inbox } from '../../../core/config/inbox.ts';

const document = (revision: string | number) => ({ text: '', source: 'memory', revision: String(revision) });
const never = new AbortController().signal;
const quietly = { debounceMs: 0, maxDebounceMs: 0, throttleMs: 0 };
const now = () => performance.now();

/** Takes whatever comes until it is told to stop. */
async function taking(inbox: Inbox, signal: AbortSignal) {
  const taken: { revision: string; at: number }[] = [];
  const done = (async () => {
    for (;;) {
      const next = await inbox.take(signal);
      if (!next) return;
      taken.push({ revision: next.document.revision, at: now() });
    }
  })();
  return { taken, done };
}

test('the newest counts, and nothing else is held', async () => {
  const inbox = new Inbox(quietly);
  for (let revision = 1; revision <= 100; revision++) inbox.offer(document(revision));
  assert.equal((await inbox.take(never))?.document.revision, '100');
  const stop = new AbortController();
  const next = inbox.take(stop.signal);
  stop.abort();
  assert.equal(await next, undefined);
});

test('who waits is given what comes, with the time of the first word of it', async () => {
  const inbox = new Inbox({ ...quietly, debounceMs: 60, maxDebounceMs: 1_000 });
  const next = inbox.take(never);
  const before = now();
  inbox.offer(document(1));
  const after = now();
  await sleep(30);
  inbox.offer(document(2));
  const arrival = await next;
  assert.equal(arrival?.document.revision, '2');
  const since = arrival?.since ?? 0;
  assert.ok(since >= before && since <= after, 'since the first, not the last');
  assert.ok(now() - before >= 89, 'sixty milliseconds after the last');
});

test('what never becomes quiet is taken at the latest after the longest wait', async () => {
  const inbox = new Inbox({ debounceMs: 200, maxDebounceMs: 500, throttleMs: 0 });
  const started = now();
  let revision = 0;
  const writer = setInterval(() => inbox.offer(document(++revision)), 10);
  const arrival = await inbox.take(never);
  clearInterval(writer);
  assert.ok(arrival && Number(arrival.document.revision) > 5);
  const waited = now() - started;
  assert.ok(waited >= 499, `${waited}`);
});

test('the first is taken at once, what follows once in a window, and the last is not lost', async () => {
  const throttleMs = 300;
  const inbox = new Inbox({ ...quietly, throttleMs });
  const stop = new AbortController();
  const { taken, done } = await taking(inbox, stop.signal);
  let revision = 0;
  const writer = setInterval(() => inbox.offer(document(++revision)), 10);
  await sleep(1_000);
  clearInterval(writer);
  await sleep(throttleMs * 2);
  stop.abort();
  await done;
  assert.ok(Number(taken[0]?.revision) < Number(taken[1]?.revision), 'the first is not the last of its window');
  assert.equal(taken.at(-1)?.revision, String(revision));
  for (const [index, { at }] of taken.entries())
    if (index > 0) assert.ok(at - (taken[index - 1]?.at ?? 0) >= throttleMs - 2, `window ${index}`);
  assert.ok(taken.length >= 3 && taken.length <= 6, `${taken.length} taken`);
});

test('hasten shortens the window, and never makes it longer', async () => {
  const inbox = new Inbox({ ...quietly, throttleMs: 60_000 });
  inbox.offer(document(1));
  await inbox.take(never);
  inbox.offer(document(2));
  const next = inbox.take(never);
  inbox.hasten(30);
  inbox.hasten(120_000);
  assert.equal((await next)?.document.revision, '2');
});

test('what waits while nobody takes is there for the next who does', async () => {
  const inbox = new Inbox({ ...quietly, debounceMs: 20, maxDebounceMs: 20 });
  inbox.offer(document(1));
  const stop = new AbortController();
  stop.abort();
  assert.equal(await inbox.take(stop.signal), undefined);
  assert.equal((await inbox.take(never))?.document.revision, '1');
});

test('whether one comes in time is known when it comes, or when the time is over', async () => {
  const inbox = new Inbox(quietly);
  assert.equal(await inbox.fills(20, never), false);
  const coming = inbox.fills(60_000, never);
  inbox.offer(document(1));
  assert.equal(await coming, true);
  assert.equal(await inbox.fills(60_000, never), true);
  assert.equal((await inbox.take(never))?.document.revision, '1');
  const stop = new AbortController();
  const waiting = inbox.fills(60_000, stop.signal);
  stop.abort();
  assert.equal(await waiting, false);
});

test('a wait that ends leaves no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  const before = timers();
  const inbox = new Inbox({ debounceMs: 60_000, maxDebounceMs: 60_000, throttleMs: 60_000 });
  const stop = new AbortController();
  inbox.offer(document(1));
  const next = inbox.take(stop.signal);
  assert.equal(timers(), before + 1);
  stop.abort();
  await next;
  assert.equal(timers(), before);
});

test('waits double up to the longest, each up to a quarter shorter, and begin again when it went well', () => {
  const backoff = new Backoff(100, 1_000);
  const waits = [100, 200, 400, 800, 1_000, 1_000];
  for (let round = 0; round < 20; round++) {
    for (const most of waits) {
      const wait = backoff.next();
      assert.ok(wait >= most * 0.75 && wait <= most, `${wait} for ${most}`);
    }
    backoff.reset();
  }
  const spread = new Set(Array.from({ length: 20 }, () => new Backoff(1_000, 1_000).next()));
  assert.ok(spread.size > 10, 'not all come at once');
});
