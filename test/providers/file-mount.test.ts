import assert from 'node:assert/strict';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import plugin from '../../providers/file.ts';
import { mountOf, mountTrouble, parseMountInfo } from '../../providers/file-mount.ts';
import { createInstance, extensionContext, temporaryFolder } from '../support/extension.ts';
import { cannotMount, mounted } from './mounted.ts';

/** Lines of containers: kubelet's mounts, with its own disk and without, of whole volumes and of parts; Docker's. */
const mountInfo = String.raw`857 723 0:293 / / rw,relatime master:300 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/ABC:/var/lib/docker/overlay2/l/DEF,upperdir=/u,workdir=/w
859 857 0:297 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
865 857 253:0 /var/lib/kubelet/pods/fd698699-eabf-4c23-92ef-cf0bbdb78261/volumes/kubernetes.io~configmap/typha-ca /typha-ca ro,relatime - ext4 /dev/mapper/ubuntu--vg-ubuntu--lv rw
866 857 0:44 / /typha-certs ro,relatime - tmpfs tmpfs rw,size=8039532k,inode64
523 857 253:16 /kubelet/pods/d166411c-ea15-11eb-abc8-525400f80eae/volumes/kubernetes.io~configmap/extra-cfg/..2021_07_21_11_21_39.969349293/extra.ini /etc/hector/extra.ini rw,noatime shared:29 - xfs /dev/vdb rw,attr2,inode64,prjquota
524 857 0:44 /..2024_07_01_14_15_02.3624755718/token /run/secrets/token ro,relatime - tmpfs tmpfs rw,size=8039532k
525 857 253:16 /kubelet/pods/d166411c-ea15-11eb-abc8-525400f80eae/volumes/kubernetes.io~configmap/all/..2021_07_21_11_21_39.969349293/part /etc/part ro,noatime - xfs /dev/vdb rw
2852 857 253:1 /var/lib/docker/containers/cb46c9f8f0ea80a1eb613fdd3e90b523939114575b6ee3e7e8bc1f4f0c8d0254/resolv.conf /etc/resolv.conf ro,relatime - ext4 /dev/vda1 rw
2853 857 253:1 /home/ann/my\040agents/hector.yaml /app/my\040agents/hector.yaml rw,relatime - ext4 /dev/vda1 rw
2854 857 253:1 /home/ann/old.yaml//deleted /app/old.yaml rw,relatime - ext4 /dev/vda1 rw
2855 857 0:50 /host_mnt/Users/ann/agents /app/agents rw,relatime - fuse.grpcfuse grpcfuse rw
2856 865 253:1 /srv/over.yaml /typha-ca/over.yaml rw,relatime - ext4 /dev/vda1 rw
2857 865 253:1 /var/lib/kubelet/pods/fd/volume-subpaths/cfg/main/0 /app/sub.yaml rw,relatime - ext4 /dev/vda1 rw
`;

test('says of each mount what will not be seen', () => {
  const mounts = parseMountInfo(mountInfo);
  assert.equal(mounts.length, 13);
  const troubles = [
    ['/typha-ca/hector.yaml', undefined],
    ['/typha-ca/..2024_07_01_14_15_02.3624755718/hector.yaml', undefined],
    ['/typha-certs/hector.yaml', undefined],
    ['/typha-ca/over.yaml', 'single_file'],
    ['/etc/hector/extra.ini', 'sub_path'],
    ['/etc/hector/other.ini', undefined],
    ['/run/secrets/token', 'sub_path'],
    ['/etc/part/hector.yaml', 'sub_path'],
    ['/app/sub.yaml', 'sub_path'],
    ['/etc/resolv.conf', 'single_file'],
    ['/app/my agents/hector.yaml', 'single_file'],
    ['/app/old.yaml', 'gone'],
    ['/app/agents/hector.yaml', undefined],
    ['/hector.yaml', undefined],
  ] as const;
  for (const [path, trouble] of troubles) assert.equal(mountTrouble(mountOf(mounts, path), path), trouble, path);
  assert.equal(mountTrouble(mountOf([], '/x'), '/x'), undefined);
});

test('of what is mounted at one place the last counts', () => {
  const twice = parseMountInfo(
    '1 0 1:1 /a /x rw - ext4 /dev/a rw\n2 1 1:1 /b /x rw shared:1 master:2 - ext4 /dev/a rw\n',
  );
  assert.deepEqual(mountOf(twice, '/x/y'), { root: '/b', point: '/x', fileSystem: 'ext4' });
});

async function warningsOf(path: string): Promise<readonly string[]> {
  const context = extensionContext<'config'>();
  await createInstance<'config'>(plugin, { path }, context);
  return context.warnings;
}

test('warns at the start of a file that is mounted so that changes are not seen', { skip: cannotMount }, async (t) => {
  const folder = await temporaryFolder(t);
  const volume = join(folder, 'volumes/kubernetes.io~configmap/config/..2024_07_01_14_15_02.3624755718');
  await mkdir(volume, { recursive: true });
  await mkdir(join(folder, 'app'));
  const files = {
    version: join(volume, 'hector.yaml'),
    host: join(folder, 'host.yaml'),
    sub: join(folder, 'app/sub.yaml'),
    single: join(folder, 'app/single.yaml'),
    link: join(folder, 'link.yaml'),
  };
  for (const path of [files.version, files.host, files.sub, files.single]) await writeFile(path, 'n: 1');
  await symlink('app/single.yaml', files.link);
  assert.deepEqual(await warningsOf(files.single), []);
  using _sub = mounted(files.sub, ['--bind', files.version, files.sub]);
  using _single = mounted(files.single, ['--bind', files.host, files.single]);
  const only = async (path: string, expected: RegExp) => {
    const [warning, ...more] = await warningsOf(path);
    assert.match(warning ?? '', expected);
    assert.ok(warning?.includes(path));
    assert.deepEqual(more, []);
  };
  await only(files.sub, /is mounted with subPath, and Kubernetes never updates .* Mount the whole volume as a folder/);
  await only(files.single, /is mounted as a single file: what is written into it is seen, .* Mount the folder/);
  await only(files.link, /is mounted as a single file/);
  await writeFile(`${files.host}~`, 'n: 2');
  await rename(`${files.host}~`, files.host);
  await only(files.single, /the file that was mounted has been replaced or deleted since/);
  assert.deepEqual(await warningsOf(files.host), []);
  assert.deepEqual(await warningsOf(join(folder, 'nothing.yaml')), []);
});
