import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { buildImage, hectorImage } from '../services/hector-image.ts';
import { podman, podmanMissing } from '../services/podman.ts';
import { runContainer } from '../support/container.ts';
import { deployFile } from '../support/deploy-file.ts';
import { sharedFolder } from '../support/shared-folder.ts';

const root = join(import.meta.dirname, '../..');
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
};

interface Inspected {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly WorkingDir: string;
    readonly StopSignal: string;
    readonly Entrypoint: readonly string[];
    readonly ExposedPorts: Readonly<Record<string, unknown>>;
    readonly Labels: Readonly<Record<string, string>>;
  };
}

const shell = async (script: string, options: readonly string[] = []) =>
  await runContainer({ image: await hectorImage(), options, command: ['sh', '-euc', script] });
const node = async (script: string) =>
  await runContainer({
    image: await hectorImage(),
    options: ['--workdir', '/usr/local/lib/hector'],
    command: ['node', '--input-type=module', '-e', script],
  });

describe('the image', { skip: podmanMissing }, () => {
  test('has at most 200 MB of files', async () => {
    const [{ Size } = assert.fail()] = JSON.parse(await podman('image', 'inspect', await hectorImage())) as Inspected[];
    assert.ok(Size <= 200e6, `${Size} bytes`);
    const counted = await shell(
      `find / -xdev -type f ! -path '/proc/*' ! -path '/sys/*' -exec stat -c %s {} + | awk '{ sum += $1 } END { print sum }'`,
    );
    assert.ok(Number(counted) > 100e6 && Number(counted) <= 200e6, `${counted} bytes`);
  });

  test('says what it is, and is nobody with rights', async () => {
    const [{ Config } = assert.fail()] = JSON.parse(
      await podman('image', 'inspect', await hectorImage()),
    ) as Inspected[];
    assert.equal(Config.User, '1001:1001');
    assert.equal(Config.WorkingDir, '/app');
    assert.equal(Config.StopSignal, 'SIGTERM');
    assert.deepEqual(Object.keys(Config.ExposedPorts), ['8080/tcp']);
    assert.equal(Config.Labels['org.opencontainers.image.version'], manifest.version);
    for (const label of ['title', 'description', 'source', 'licenses', 'documentation'])
      assert.ok(Config.Labels[`org.opencontainers.image.${label}`], label);
    assert.equal(
      await shell('id -un; id -u; id -g; pwd; stat -c %u /app /app/.hector'),
      'hector\n1001\n1001\n/app\n1001\n1001',
    );
    // Nothing that it could write to but its own folder and /tmp.
    const writable = await shell(`find / -xdev ! -type l '(' -user 1001 -o -group 1001 -o -perm -0002 ')'`);
    assert.deepEqual(writable.split('\n').sort(), ['/app', '/app/.hector', '/tmp']);
    const setuid = await shell(`find / -xdev -type f -perm +6000`);
    assert.equal(setuid, '');
  });

  test('holds the package as npm has it, and of its dependencies what Node loads', async () => {
    const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], {
      cwd: root,
    });
    const [packed] = JSON.parse(stdout) as { files: { path: string }[] }[];
    const files = await shell(`cd /usr/local/lib/hector && find . -type f ! -path './node_modules/*'`);
    assert.deepEqual(files.split('\n').sort(), packed?.files.map(({ path }) => `./${path}`).sort());
    const left = await shell(
      `find /usr/local/lib/hector/node_modules -name '*.map' -o -name '*.ts' -o -name README.md -o -name esnext -o -name '*-musl'`,
    );
    assert.equal(left, '');
    // MIT and its like want their text to be where the code is.
    assert.ok(Number(await shell(`find /usr/local/lib/hector/node_modules -iname 'licen[sc]e*' | wc -l`)) > 200);
    assert.equal(await shell(`find / -xdev -name npm -o -xdev -name typescript -o -xdev -name tsx`), '');
    const listed = await shell('cat /var/lib/dpkg/status.d/*');
    for (const name of ['libc6', 'libstdc++6', 'busybox', 'tini'])
      assert.ok(new RegExp(`^Package: ${name.replaceAll('+', '\\+')}\n(.+\n)*Version: \\d`, 'm').test(listed), name);
  });

  test('every dependency loads', async () => {
    const loaded = await node(
      `const names = ${JSON.stringify([...Object.keys(manifest.dependencies), '@a2a-js/sdk/server', '@a2a-js/sdk/client'])};
       for (const name of names) await import(name);
       console.log(names.length);`,
    );
    assert.ok(Number(loaded) > 25, loaded);
  });

  test('knows time zones, certificates and names', async () => {
    assert.equal(await shell(`node -p 'new Date(0).getTimezoneOffset()'`, ['--env', 'TZ=Europe/Prague']), '-60');
    assert.match(await shell('cat /etc/ssl/certs/ca-certificates.crt'), /-----BEGIN CERTIFICATE-----/);
    assert.match(await node(`import tls from 'node:tls'; console.log(tls.rootCertificates.length)`), /^\d{2,}$/);
    assert.equal(await shell('. /etc/os-release; echo $ID $VERSION_ID'), 'debian 12');
  });

  test('is built from the sources alone', async (t) => {
    const folder = await sharedFolder(t);
    await writeFile(join(folder, 'Dockerfile'), `FROM ${await hectorImage()}\nCOPY . /context\n`);
    const everything = await buildImage(join(folder, 'Dockerfile'), root);
    t.after(() => podman('rmi', everything));
    const sent = (
      await runContainer({ image: everything, command: ['sh', '-c', 'cd /context && find . -type f'] })
    ).split('\n');
    const tops = [...new Set(sent.map((path) => path.split('/')[1] ?? ''))].sort();
    assert.deepEqual(tops, [
      '.npmrc',
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'core',
      'deploy',
      'package-lock.json',
      'package.json',
      'plugins',
      'providers',
      'server',
      'test',
      'tsconfig.build.json',
      'tsconfig.json',
    ]);
    const odd = sent.filter((path) =>
      /^\.\/(test\/(?!conformance\/)|deploy\/(?!docker\/\w+\.sh$))|node_modules|\.env$/.test(path),
    );
    assert.deepEqual(odd, []);
  });
});

test('its files name no processor', async () => {
  for (const path of [
    deployFile('docker/Dockerfile'),
    deployFile('docker/entrypoint.sh'),
    deployFile('docker/slim.sh'),
    deployFile('docker/system.sh'),
  ])
    assert.doesNotMatch(await readFile(path, 'utf8'), /x86|amd64|aarch64|arm64|x64/, path);
});

test('slim.sh refuses a folder without packages', async (t) => {
  const folder = await sharedFolder(t);
  await assert.rejects(promisify(execFile)(deployFile('docker/slim.sh'), [folder]), /has no node_modules/);
});
