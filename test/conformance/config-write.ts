import assert from 'node:assert/strict';
import { type ConfigContent, type ConfigProvider, errorCode, errorMessage } from '../../core/index.ts';

/** A write with a deadline of its own. */
export function write(provider: ConfigProvider, content: ConfigContent, expected: string | undefined): Promise<string> {
  assert.ok(provider.write, 'the provider writes');
  return provider.write(content, expected, AbortSignal.timeout(30_000));
}

/** Of writes at the same time: the one that went through, and that all others are told about it. */
export async function onlyOne(writes: readonly Promise<string>[]): Promise<{ index: number; revision: string }> {
  const results = await Promise.allSettled(writes);
  const won = results.flatMap((result, index) =>
    result.status === 'fulfilled' ? [{ index, revision: result.value }] : [],
  );
  for (const result of results)
    if (result.status === 'rejected') await refused(Promise.reject(result.reason), 'conflict');
  assert.equal(won.length, 1, 'exactly one write goes through');
  return won[0] as { index: number; revision: string };
}

/** That it is refused, and by which code. */
export async function refused(promise: Promise<unknown>, code: string): Promise<string> {
  try {
    await promise;
  } catch (error) {
    assert.equal(errorCode(error), code, errorMessage(error));
    return errorMessage(error);
  }
  assert.fail(`it was not refused, and should be as "${code}"`);
}
