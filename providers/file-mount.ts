import { readFile, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../core/index.ts';

export interface Mount {
  /** What of its file system is mounted. */
  readonly root: string;
  readonly point: string;
  readonly fileSystem: string;
}

/** The lines of /proc/self/mountinfo (proc_pid_mountinfo(5)), those that are mounted over others last. */
export function parseMountInfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [mount, source] = line.split(' - ', 2);
    const [, , , root, point] = (mount ?? '').split(' ');
    const [fileSystem] = (source ?? '').split(' ');
    if (root === undefined || point === undefined || fileSystem === undefined) return [];
    return [{ root: decodeOctal(root), point: decodeOctal(point), fileSystem }];
  });
}

/** Space, tab, line feed and backslash are written in octal. */
function decodeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount that a path without links is on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  for (let above = path; ; above = dirname(above)) {
    const mount = mounts.findLast(({ point }) => point === above);
    if (mount || above === dirname(above)) return mount;
  }
}

/**
 * What a mount has to do with changes that are not seen: kubelet puts a new version of a volume into a new folder
 * (`..2024_07_01_14_15_02.3624755718`), and a `subPath` of it goes on to show the old one; a single file that is mounted by
 * whatever else shows what is written into it, and nothing that takes its place.
 */
export function mountTrouble(mount: Mount | undefined, path: string): 'sub_path' | 'gone' | 'single_file' | undefined {
  if (!mount) return undefined;
  if (/\/\.\.\d{4}_\d\d_\d\d_|\/volume-subpaths\//.test(mount.root)) return 'sub_path';
  if (mount.point !== path) return undefined;
  return mount.root.endsWith('//deleted') ? 'gone' : 'single_file';
}

/** A sentence or two for whoever mounted the file so that changes of it are not seen. */
export async function mountWarning(source: string, path: string): Promise<string | undefined> {
  const [mounts, resolved] = await Promise.all([readMounts(), realpath(path).catch(absent)]);
  const trouble = mountTrouble(mountOf(mounts, resolved ?? path), resolved ?? path);
  if (trouble === undefined) return undefined;
  return `The configuration file ${source} ${sentences[trouble]}`;
}

const sentences = {
  sub_path:
    'is mounted with subPath, and Kubernetes never updates such a mount: a change of the ConfigMap is seen when the pod ' +
    'is started anew. Mount the whole volume as a folder (mountPath without subPath), and name the file in it.',
  gone:
    'is mounted as a single file, and the file that was mounted has been replaced or deleted since: what takes its place ' +
    'is not seen. Mount the folder that it is in.',
  single_file:
    'is mounted as a single file: what is written into it is seen, but not a file that takes its place, which is how ' +
    'most editors and tools write. Mount the folder that it is in.',
} as const;

async function readMounts(): Promise<Mount[]> {
  try {
    return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
  } catch (error) {
    // Not Linux, or its /proc is not to be seen.
    if (errorCode(error) === undefined) throw error;
    return [];
  }
}

/** What is wrong with the file is for its reader to say. */
function absent(error: unknown): undefined {
  if (errorCode(error) === undefined) throw error;
}
