import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 20;

/** Whether any process of the group is there. */
export function groupExists(id: number): boolean {
  return signalGroup(id, 0);
}

/** `false` when there is no process left to get it. */
export function signalGroup(id: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-id, signal);
    return true;
  } catch {
    // ESRCH: none is left. EPERM: the number has been given to somebody else's.
    return false;
  }
}

/** Asks every process of the group to end, and makes those that have not after the grace. Returns when none is left. */
export async function endGroup(id: number, graceMs: number): Promise<void> {
  if (!signalGroup(id, 'SIGTERM') || (await gone(id, graceMs))) return;
  signalGroup(id, 'SIGKILL');
  // A killed process stays until it is reaped, which may be never where the first process of a container does not do it.
  await gone(id, graceMs);
}

async function gone(id: number, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (groupExists(id)) {
    if (performance.now() >= deadline) return false;
    await sleep(pollMs);
  }
  return true;
}
