import { join } from 'node:path';
import { deployFile } from '../support/deploy-file.ts';
import { nodeImage, podman, podmanMissing, ulimits } from './podman.ts';
import { alone, mayInstall } from './service.ts';

const root = join(import.meta.dirname, '../..');

/**
 * Hector's image of this checkout, by its id. podman keeps the layers: where nothing has changed since the last time, this
 * takes a second.
 */
export function hectorImage(): Promise<string> {
  built ??= alone('hector-image', () =>
    buildImage(deployFile('docker/Dockerfile'), root, '--tag=localhost/hector-test'),
  );
  return built;
}

let built: Promise<string> | undefined;

/** An image of a Dockerfile and a folder, by its id. */
export async function buildImage(dockerfile: string, context: string, ...args: readonly string[]): Promise<string> {
  // A health check is not in OCI's format.
  const options = [
    '--quiet',
    '--network=host',
    '--format=docker',
    ...ulimits,
    '--build-arg',
    `NODE_IMAGE=${nodeImage}`,
  ];
  return await podman('build', ...options, ...args, '--file', dockerfile, context);
}

// The first time takes minutes, and they are nobody's test.
if (mayInstall && !podmanMissing) await hectorImage();
