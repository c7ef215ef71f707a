import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { alone, findProgram, foundOrInstalled, mayInstall } from './service.ts';

const run = promisify(execFile);

/** Debian's packages; the last two are for the stand-in that follows. */
const packages = ['podman', 'buildah', 'runc', 'debootstrap', 'debian-archive-keyring'];

const find = async () => {
  const [program, ...others] = await Promise.all(['podman', 'runc', 'debootstrap'].map((name) => findProgram(name)));
  return others.every((each) => each !== undefined) ? program : undefined;
};
const program = (await foundOrInstalled(find, ...packages)) ?? (await findProgram('podman'));

/** crun wants the newer cgroups; runc takes either. */
const runc = await findProgram('runc');

/** Gives what it prints, without the end of the last line. */
export async function podman(...args: readonly string[]): Promise<string> {
  if (!program) throw new Error(String(podmanMissing));
  const all = [...(runc ? ['--runtime', 'runc'] : []), ...args];
  const timeout = args[0] === 'build' ? 20 * 60_000 : 2 * 60_000;
  const { stdout } = await run(program, all, { maxBuffer: 64 * 1024 ** 2, timeout });
  return stdout.trimEnd();
}

/** What podman asks for by itself is more than a machine may give. */
export const ulimits = ['--ulimit', 'nofile=20000:20000', '--ulimit', 'nproc=4096:4096'];

/** For a folder on the path: a command line of `docker` is one of podman then. */
export const dockerScript = `#!/bin/sh
command=$1
shift
case $command in
  build) set -- --network=host --format=docker ${ulimits.join(' ')} "$@" ;;
  run) set -- ${ulimits.join(' ')} "$@" ;;
esac
exec podman ${runc ? '--runtime runc' : ''} "$command" "$@"
`;

/** The image that Hector's is built from: HECTOR_TEST_NODE_IMAGE names one in a registry, or the real one under its name. */
export const nodeImage = process.env['HECTOR_TEST_NODE_IMAGE'] ?? 'docker.io/library/node:24-bookworm-slim';

/** What is missing, for `skip`; nothing where containers can be built and run. */
export const podmanMissing: string | false = await missing();

async function missing(): Promise<string | false> {
  if (!program) return 'podman is not installed: apt-get install podman runc debootstrap, or set HECTOR_TEST_INSTALL';
  const broken = (await failureOf('info')) ?? (await withoutImage());
  if (broken !== undefined) return broken;
  return (await failureOf('run', '--rm', '--network=none', ...ulimits, nodeImage, 'true')) ?? false;
}

/** The reason why containers cannot be run here, if that fails. */
async function failureOf(...args: readonly string[]): Promise<string | undefined> {
  return await podman(...args).then(
    () => undefined,
    (error: { stderr?: string }) => `podman cannot run containers here: ${error.stderr?.trim().split('\n').at(-1)}`,
  );
}

async function withoutImage(): Promise<string | undefined> {
  if (process.env['HECTOR_TEST_NODE_IMAGE'] !== undefined || (await has(nodeImage))) return undefined;
  if (!mayInstall) return `there is no image ${nodeImage}: pull it, or set HECTOR_TEST_INSTALL to have a stand-in made`;
  if (userInfo().uid !== 0) return `there is no image ${nodeImage}, and only root can make a stand-in for it: pull it`;
  await alone('node-image', async () => {
    if (!(await has(nodeImage))) await makeStandIn();
  });
  return undefined;
}

async function has(image: string): Promise<boolean> {
  return await podman('image', 'exists', image).then(
    () => true,
    () => false,
  );
}

/**
 * Made of what the real one is made of, where no registry of images can be reached: Debian 12, Node 24 and npm. It trusts
 * the certificates that npm trusts on this machine, and asks the registry that npm asks.
 */
async function makeStandIn(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hector-node-image-'));
  try {
    const root = join(folder, 'root');
    const debian = 'http://deb.debian.org';
    const options = { maxBuffer: 64 * 1024 ** 2, cwd: folder };
    await writeFile(join(folder, 'package.json'), '{ "private": true }');
    const node = `node-linux-${process.arch}`;
    await Promise.all([
      run('debootstrap', ['--variant=minbase', 'bookworm', root, `${debian}/debian`], options),
      run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${node}@24`, 'npm@11'], options),
    ]);
    const sources = [
      `${debian}/debian bookworm main`,
      `${debian}/debian bookworm-updates main`,
      `${debian}/debian-security bookworm-security main`,
    ];
    await writeFile(join(root, 'etc/apt/sources.list'), sources.map((source) => `deb ${source}\n`).join(''));
    const modules = join(root, 'usr/local/lib/node_modules');
    const installed = join(folder, 'node_modules');
    await mkdir(modules, { recursive: true });
    await cp(join(installed, 'npm'), join(modules, 'npm'), { recursive: true });
    await cp(join(installed, node, 'bin/node'), join(root, 'usr/local/bin/node'));
    await cp(join(installed, node, 'LICENSE'), join(root, 'usr/local/LICENSE'));
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
    await writeNpmrc(join(root, 'usr/local/etc/npmrc'));
    const files = ['--exclude=./dev/*', '--exclude=./var/cache/apt/archives/*', '-f', join(folder, 'root.tar'), '.'];
    await run('tar', ['-C', root, '-c', ...files], options);
    await podman('import', join(folder, 'root.tar'), nodeImage);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeNpmrc(path: string): Promise<void> {
  const get = async (key: string) => (await run('npm', ['config', 'get', key], { cwd: tmpdir() })).stdout.trim();
  const authority = process.env['NODE_EXTRA_CA_CERTS'] ?? (await get('cafile'));
  const lines = [`registry=${await get('registry')}`];
  await mkdir(dirname(path), { recursive: true });
  if (authority !== 'null') {
    await cp(authority, join(dirname(path), 'npm-ca.pem'));
    lines.push('cafile=/usr/local/etc/npm-ca.pem');
  }
  await writeFile(path, `${lines.join('\n')}\n`);
}
