import { chmod, mkdir, mkdtemp, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type MountedFiles = Readonly<Record<string, string>>;

/** A ConfigMap or a Secret in a pod, as kubelet mounts it: links to a folder that is changed as a whole, by one rename. */
export interface KubeletVolume extends AsyncDisposable {
  readonly folder: string;
  update(files: MountedFiles): Promise<void>;
}

export async function kubeletVolume(files: MountedFiles): Promise<KubeletVolume> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-volume-'));
  // The user of a container reads it, too.
  await chmod(folder, 0o755);
  let count = 0;
  const update: KubeletVolume['update'] = async (next) => {
    const version = `..2026_11_29_12_00_00.${count++}`;
    await mkdir(join(folder, version));
    for (const [name, text] of Object.entries(next)) await writeFile(join(folder, version, name), text);
    const before = await readlink(join(folder, '..data')).catch(() => undefined);
    await symlink(version, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    const visible = (await readdir(folder)).filter((name) => !name.startsWith('..'));
    for (const name of Object.keys(next))
      if (!visible.includes(name)) await symlink(join('..data', name), join(folder, name));
    for (const name of visible) if (!(name in next)) await rm(join(folder, name));
    if (before !== undefined) await rm(join(folder, before), { recursive: true });
  };
  await update(files);
  return { folder, update, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
