import { until } from './until.ts';

/**
 * Waits for something in the log of a process that runs. Hector answers without waiting for its log to be written: what a
 * request has brought about may be told after the answer to it is here.
 */
export async function told({ stderr }: { stderr(): string }, line: RegExp): Promise<void> {
  try {
    await until(() => line.test(stderr()));
  } catch (error) {
    throw new Error(`Waited in vain for ${line} in the log:\n${stderr()}`, { cause: error });
  }
}
