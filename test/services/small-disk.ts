import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Root, or a user that becomes root without being asked, as CI's is. */
const asRoot = userInfo().uid === 0 ? [] : ['sudo', '-n'];

async function privileged(...command: readonly string[]): Promise<void> {
  const [program = '', ...args] = [...asRoot, ...command];
  await run(program, args);
}

/** A disk of its own that can be full while the machine's is not. */
export interface SmallDisk extends AsyncDisposable {
  readonly folder: string;
  /** Leaves room for nothing more. */
  fill(): Promise<void>;
  /** What was filled is free again. */
  empty(): Promise<void>;
}

/** In memory. Whoever has files on it must have ended before it is disposed. */
export async function smallDisk(megabytes: number, owner: string | number = userInfo().uid): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-disk-'));
  try {
    await privileged('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'hector-test', folder);
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  await privileged('chown', String(owner), folder);
  // A test that fails in a hurry leaves no disk behind.
  const atExit = () => {
    const [program = '', ...args] = [...asRoot, 'umount', '--lazy', folder];
    spawnSync(program, args);
  };
  process.on('exit', atExit);
  const filler = join(folder, 'filler');
  return {
    folder,
    async fill() {
      const file = await open(filler, 'a');
      try {
        // Others write meanwhile, and free what they had.
        for (let size = 1024 ** 2; (await statfs(folder)).bavail > 0; ) {
          try {
            await file.write(Buffer.alloc(size));
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
            size = 4096;
          }
        }
      } finally {
        await file.close();
      }
    },
    empty: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      process.off('exit', atExit);
      // What is closed may not be gone yet: SQLite's statements keep their file until they are collected.
      await privileged('umount', '--lazy', folder);
      await rm(folder, { recursive: true });
    },
  };
}

async function canMount(): Promise<boolean> {
  try {
    await using _disk = await smallDisk(1);
    return true;
  } catch {
    return false;
  }
}

/** What is missing, for `skip`; nothing where a disk can be made. */
export const smallDiskMissing = (await canMount())
  ? false
  : 'a small disk cannot be mounted here: run the tests as root, or as a user with sudo';
