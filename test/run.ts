import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/**
 * Runs the test files below the paths given (default: all of test/), each in a process of its own, and ends with a line
 * that counts the tests. What a machine cannot run is skipped; with CI set a skip is a failure.
 */
const paths = process.argv.slice(2);
const files = (paths.length > 0 ? paths : ['test']).flatMap(testFiles).sort();
if (files.length === 0) {
  console.error(`No test file (*.test.ts) below ${paths.join(', ') || 'test/'}.`);
  process.exit(1);
}

// Once and before everything, for the time that it takes (Consul is built from source) is nobody's test.
if (process.env['CI'] !== undefined && paths.length === 0) await prepareServices();

const counts = { passed: 0, failed: 0, skipped: 0 };
const skips: string[] = [];
/** For one file; the long forms of some tests take longer. */
const timeout = process.env['HECTOR_LONG_TESTS'] === undefined ? 300_000 : 900_000;
const stream = run({ files, concurrency: 2, timeout });
stream.on('test:pass', (event) => {
  if (event.skip !== undefined && event.skip !== false) {
    // A suite that is skipped says so once, for all that would be in it.
    counts.skipped++;
    skips.push(`${event.name}: ${event.skip}`);
  } else if (event.details.type !== 'suite') counts.passed++;
});
stream.on('test:fail', (event) => {
  if (event.details.type !== 'suite') counts.failed++;
});
const report = stream.compose(new spec());
report.pipe(process.stdout);
await finished(report);

for (const skip of skips) console.log(`skipped: ${skip}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
const forbidden = process.env['CI'] !== undefined && counts.skipped > 0;
if (forbidden) console.error('A skipped test is a failure where CI is set.');
process.exit(counts.failed > 0 || counts.passed === 0 || forbidden ? 1 : 0);

/** Importing one finds its server, or installs it where that is allowed. */
async function prepareServices(): Promise<void> {
  const folder = join(import.meta.dirname, 'services');
  for (const name of readdirSync(folder).sort()) {
    const started = performance.now();
    await import(join(folder, name));
    const seconds = Math.round((performance.now() - started) / 1000);
    if (seconds > 5) console.log(`test/services/${name}: made ready in ${seconds} s`);
  }
}

function testFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return path.endsWith('.test.ts') ? [path] : [];
  return readdirSync(path)
    .filter((name) => name !== 'fixtures' && name !== 'node_modules')
    .flatMap((name) => testFiles(join(path, name)));
}
