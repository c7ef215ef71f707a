import { join } from 'node:path';

/** A file that is shipped under deploy/, named so that test/deploy/coverage.test.ts sees which test exercises it. */
export const deployFile = (path: string): string => join(import.meta.dirname, '../../deploy', path);
