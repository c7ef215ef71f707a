import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram, foundOrInstalled } from './service.ts';

const run = promisify(execFile);

const found = await foundOrInstalled(() => findProgram('python3'), 'python3');

/** What is missing, for `skip`; `false` where it is there. */
export const pythonMissing = found
  ? false
  : 'python3 is not installed: apt-get install python3, or set HECTOR_TEST_INSTALL';

/** What a property list says, by the parser of Python's own library. Throws when it is none. */
export async function readPlist(path: string): Promise<unknown> {
  const program = 'import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], "rb"))))';
  return JSON.parse((await run(found as string, ['-c', program, path])).stdout);
}
