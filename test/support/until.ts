import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition; fails after `ms` with the condition's source, so that a hang says what it waited for. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${ms} ms in vain for ${condition.toString()}`);
    await sleep(5);
  }
}
