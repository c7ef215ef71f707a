import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { buildImage, hectorImage } from '../services/hector-image.ts';
import { podman, podmanMissing } from '../services/podman.ts';
import { freePort } from '../services/service.ts';
import { answer, connect, send } from '../support/a2a-client.ts';
import { runContainer, serving, startContainer } from '../support/container.ts';
import { deployFile } from '../support/deploy-file.ts';
import { sharedFolder } from '../support/shared-folder.ts';

const root = join(import.meta.dirname, '../..');

test('an image with a plugin of a third party serves it', { skip: podmanMissing }, async (t) => {
  const folder = await sharedFolder(t);
  await cp(deployFile('docker/plugins/Dockerfile'), join(folder, 'Dockerfile'));
  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: join(root, 'test/fixtures/hector-plugin-echo'),
  });
  const [packed = assert.fail(stdout)] = JSON.parse(stdout) as { filename: string }[];
  const dependencies = { '@acme/hector-plugin-echo': `file:${packed.filename}` };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  const args = ['--build-arg', `HECTOR_IMAGE=${await hectorImage()}`];
  const image = await buildImage(join(folder, 'Dockerfile'), folder, ...args);
  t.after(() => podman('rmi', '--force', image));
  assert.equal(await runContainer({ image, command: ['sh', '-c', 'ls /node_modules'] }), '@acme\nhector');

  const config = 'plugins: ["@acme/hector-plugin-echo"]\nllms: { default: { provider: shouting, mark: "?!" } }\n';
  const configs = await sharedFolder(t);
  await writeFile(join(configs, 'config.yaml'), config);
  const port = await freePort();
  const volume = ['--volume', `${configs}:/etc/hector:ro`];
  await using container = await startContainer({
    image,
    options: ['--read-only', '--tmpfs', '/tmp', '--publish', `127.0.0.1:${port}:8080`, ...volume],
    command: ['serve', '--config', '/etc/hector/config.yaml'],
  });
  await serving(container, `http://127.0.0.1:${port}`);
  assert.equal(answer(await send(await connect(`http://127.0.0.1:${port}`), 'land ahoy')), 'LAND AHOY?!');
});
