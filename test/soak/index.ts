import { parseArgs } from 'node:util';
import { summary, verdict } from './report.ts';
import { soak } from './soak.ts';
import { type StoreName, storeNames } from './store.ts';

/** `npm run soak -- --reloads 200 --store etcd`: reloads under load. Ends with 1 when a rule is broken, and says which. */
const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '1000' },
    streams: { type: 'string', default: '50' },
    'stream-seconds': { type: 'string', default: '30' },
    concurrency: { type: 'string', default: '100' },
    pace: { type: 'string', default: '200' },
    store: { type: 'string', default: 'file' },
    'no-drain': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    cli: { type: 'string' },
  },
});

const report = await soak({
  reloads: number('reloads'),
  streams: number('streams'),
  streamSeconds: number('stream-seconds'),
  concurrency: number('concurrency'),
  paceMs: number('pace'),
  drain: !values['no-drain'],
  store: storeOf(values.store),
  cli: values.cli,
  onProgress: (line) => console.error(line),
});
const wrong = verdict(report);
if (values.json) {
  const { measurements, log: _, ...rest } = report;
  console.log(JSON.stringify({ ...rest, measurements: Object.fromEntries(measurements), wrong }, null, 2));
} else console.log(summary(report, wrong));
process.exitCode = wrong.length > 0 ? 1 : 0;

function number(name: 'reloads' | 'streams' | 'stream-seconds' | 'concurrency' | 'pace'): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name} takes a whole number, not "${values[name]}"`);
}

function storeOf(name: string): StoreName {
  const known = storeNames.find((each) => each === name);
  if (known) return known;
  throw new Error(`--store is one of ${storeNames.join(', ')}, not "${name}"`);
}
