/**
 * `npm run bench`: Hector beside a bare koa and a bare undici proxy, in one run against the same local model.
 * A missed target is a result, not a failure: the exit code is 1 only when a case could not run or had wrong answers, and 2
 * when the command line is wrong.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cases as requestCases } from './cases.ts';
import { keyTiming } from './key-timing.ts';
import { limitCases } from './limit-cases.ts';
import { observabilityCases } from './observability-cases.ts';
import { NotRunnable, pinLoad } from './process.ts';
import { reloadCases } from './reload-cases.ts';
import { type CaseResult, json, machine, text } from './report.ts';
import { type BenchOptions, run } from './stage.ts';
import { storageCases } from './storage-cases.ts';
import { surfaceCases } from './surface-cases.ts';

const cases = [
  ...requestCases,
  ...surfaceCases,
  ...limitCases,
  ...observabilityCases,
  ...reloadCases,
  ...storageCases,
  keyTiming,
];
const root = path.resolve(import.meta.dirname, '../..');
const usage = `npm run bench -- [--quick] [--only ${cases.map(({ name }) => name).join(',')}] [--json FILE] [--no-build] [--cli FILE] [--profile FOLDER]

${cases.map(({ name, title }) => `  ${name.padEnd(16)}${title}`).join('\n')}

  --quick     short rounds: to see that it works, not what it costs
  --no-build  measure dist/ as it is
  --cli       measure another build: its server/cli.js
  --profile   write a CPU profile of each Hector process into a folder
`;

function options() {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      build: { type: 'boolean', default: true },
      cli: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const only = values.only?.split(',').map((name) => name.trim());
  // `reload` is all that begin with it.
  const isMeant = (name: string, one: string) => one === name || one.startsWith(`${name}-`);
  const unknown = only?.find((name) => !cases.some((one) => isMeant(name, one.name)));
  if (unknown !== undefined)
    throw new Error(`no case is named "${unknown}"; there are ${cases.map(({ name }) => name).join(', ')}`);
  return { ...values, chosen: cases.filter((one) => only?.some((name) => isMeant(name, one.name)) ?? true) };
}

function build(): void {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) process.stderr.write(`The build has errors; measuring what it wrote.\n${stdout.slice(0, 2_000)}\n`);
}

async function main(): Promise<void> {
  let given: ReturnType<typeof options>;
  try {
    given = options();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const { chosen, ...values } = given;
  if (values.help) return void process.stdout.write(usage);
  if (values.build && values.cli === undefined) build();
  const cli = values.cli === undefined ? path.join(root, 'dist/server/cli.js') : path.resolve(values.cli);
  if (values.profile !== undefined) mkdirSync(values.profile, { recursive: true });
  const lengths = values.quick
    ? { rounds: 2, seconds: 1, streams: 1_000, streamSeconds: 6, reloads: 3, writes: 20 }
    : { rounds: 5, seconds: 3, streams: 1_000, streamSeconds: 20, reloads: 20, writes: 200 };
  const bench: BenchOptions = {
    ...lengths,
    cli,
    ...(values.profile === undefined ? {} : { profile: path.resolve(values.profile) }),
  };
  const facts = machine();
  pinLoad();
  const results: CaseResult[] = [];
  for (const one of chosen) {
    process.stderr.write(`${one.name}: ${one.title} …\n`);
    try {
      if (!existsSync(cli)) throw new NotRunnable(`${cli} is not there; run \`npm run build\``);
      results.push(await run(one, bench));
    } catch (error) {
      const { message } = error as Error;
      const failure = error instanceof NotRunnable ? { errors: [], notRunnable: message } : { errors: [message] };
      results.push({ name: one.name, title: one.title, checks: [], ...failure });
    }
  }
  process.stdout.write(`\n${text(results, facts)}\n`);
  if (values.json !== undefined) writeFileSync(values.json, json(results, facts, lengths));
  if (results.some(({ errors, notRunnable }) => errors.length > 0 || notRunnable !== undefined)) process.exitCode = 1;
}

await main();
