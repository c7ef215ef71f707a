import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { blocks, root } from '../docs/blocks.ts';
import { hectorImage } from '../services/hector-image.ts';
import { dockerScript, podman, podmanMissing } from '../services/podman.ts';
import { freePort } from '../services/service.ts';
import { cleanEnvironment } from '../support/hector.ts';
import { sharedFolder } from '../support/shared-folder.ts';

const [build, standalone, hardened] = blocks().filter(
  ({ page, note }) => page === 'docs/deployment-docker.md' && note === 'run by test/deploy/docker-docs.test.ts',
);

/** A block in a shell, with podman for docker, and with names and ports of its own. */
async function shell(t: TestContext, script: string | undefined, cwd: string): Promise<string> {
  const bin = join(await sharedFolder(t), 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'docker'), dockerScript, { mode: 0o755 });
  const [name, port] = [`hector-test-${randomUUID()}`, await freePort()];
  const own = assertDefined(script)
    .replaceAll(/(--name|docker (?:stop --time \d+|rm|logs)) hector$/gm, `$1 ${name}`)
    .replaceAll(/(--name) hector \\$/gm, `$1 ${name} \\`)
    .replaceAll('hector-data:', `${name}-data:`)
    .replaceAll('-p 8080:', `-p 127.0.0.1:${port}:`)
    .replaceAll('localhost:8080', `127.0.0.1:${port}`);
  t.after(async () => {
    await podman('rm', '--force', '--ignore', '--time', '0', name);
    await podman('volume', 'rm', '--force', `${name}-data`);
  });
  const { PATH } = process.env;
  const env = { ...cleanEnvironment(), PATH: `${bin}:${PATH}` };
  const { stdout, stderr } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', own], { cwd, env });
  return stdout + stderr;
}

function assertDefined(text: string | undefined): string {
  assert.ok(text, 'the page has another block');
  return text;
}

test('the command that builds the image', { skip: podmanMissing }, async (t) => {
  const expected = await hectorImage();
  await shell(t, build?.text, root);
  assert.equal(await podman('image', 'inspect', '--format', '{{.Id}}', 'ghcr.io/verikod/hector:2.0.0'), expected);
});

for (const [name, block] of [
  ["the guide's own, for one container", standalone],
  ['the one of a container that cannot be written to', hardened],
] as const)
  test(name, { skip: podmanMissing }, async (t) => {
    await podman('tag', await hectorImage(), 'ghcr.io/verikod/hector:2.0.0');
    const folder = await sharedFolder(t);
    await writeFile(join(folder, 'config.yaml'), 'llms: { default: { provider: echo } }\nagents: { told: {} }\n');
    assert.match(await shell(t, block?.text, folder), /"status":"healthy"/);
  });
