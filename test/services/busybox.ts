import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram, foundOrInstalled } from './service.ts';

/** The shell and the tools of the alpine images. BUSYBOX names one of one's own. */
const find = () => findProgram(process.env['BUSYBOX'] ?? 'busybox');
const found = await foundOrInstalled(find, 'busybox');

/** What is missing, for `skip`; `false` where it is there. */
export const busyboxMissing = found
  ? false
  : 'busybox is not installed: apt-get install busybox, or set HECTOR_TEST_INSTALL';

/** Fills a folder with its tools, `sh` among them, to be the beginning of a PATH. */
export async function busyboxTools(folder: string): Promise<void> {
  await promisify(execFile)(found as string, ['--install', '-s', folder]);
}
