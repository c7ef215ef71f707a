import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Hector's own version, from the package.json nearest to this file: beside it in the sources, one folder further up when built. */
export const version: string = readVersion();

function readVersion(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error(`No package.json above ${import.meta.dirname}: this copy of Hector is not complete.`);
    folder = parent;
  }
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
}
