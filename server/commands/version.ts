import { version } from '../version.ts';
import type { Output } from './output.ts';

export function versionCommand(): Output {
  return {
    code: 0,
    stdout: `hector ${version} (node ${process.versions.node}, ${process.platform} ${process.arch})\n`,
  };
}
