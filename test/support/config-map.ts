import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export type MountedFiles = Readonly<Record<string, string>>;

/**
 * A folder as kubelet mounts a ConfigMap or a Secret: the files are links into `..data`, and that is a link to a folder with a
 * name of its own. What it gives puts a new version in place as kubelet does: a new folder, one rename, and the old folder is gone.
 */
export async function mountConfigMap(
  folder: string,
  files: MountedFiles,
): Promise<(files: MountedFiles) => Promise<void>> {
  let version = 0;
  let last: string | undefined;
  const put = async (next: MountedFiles) => {
    const name = `..2026_01_31_12_00_00.${++version}`;
    await mkdir(join(folder, name));
    for (const [file, text] of Object.entries(next)) await writeFile(join(folder, name, file), text);
    await symlink(name, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    if (last !== undefined) await rm(join(folder, last), { recursive: true });
    last = name;
  };
  await put(files);
  for (const file of Object.keys(files)) await symlink(`..data/${file}`, join(folder, file));
  return put;
}
