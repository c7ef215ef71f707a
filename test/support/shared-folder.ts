import { chmod } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './extension.ts';

/** A folder that a container's user can read too. */
export async function sharedFolder(t: Pick<TestContext, 'after'>): Promise<string> {
  const folder = await temporaryFolder(t);
  await chmod(folder, 0o755);
  return folder;
}
