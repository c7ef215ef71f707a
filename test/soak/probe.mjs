import { renameSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Loaded into the server before its own code: on SIGUSR2 it collects garbage and writes to the file PROBE_FILE what is left.
 */
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const Timeout = timeoutClass();
let number = 0;

process.on('SIGUSR2', async () => {
  const generation = new URL('../core/runtime/generation.js', pathToFileURL(process.argv[1]));
  const { Generation } = await import(generation.href);
  let rss = Number.POSITIVE_INFINITY;
  // Pages go back to the system some time after what was on them is collected.
  for (let round = 0; round < 4; round++) {
    gc();
    await sleep(100);
    rss = Math.min(rss, process.memoryUsage.rss());
  }
  const { heapUsed, external } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const answer = {
    number: ++number,
    rss,
    heap: heapUsed,
    external,
    activeTimers: resources.filter((kind) => kind === 'Timeout' || kind === 'Immediate').length,
    timers: queryObjects(Timeout, { format: 'count' }),
    sockets: queryObjects(Socket, { format: 'count' }),
    generations: queryObjects(Generation, { format: 'count' }),
  };
  writeFileSync(`${process.env.PROBE_FILE}.new`, JSON.stringify(answer));
  renameSync(`${process.env.PROBE_FILE}.new`, process.env.PROBE_FILE);
});

function timeoutClass() {
  const timer = setTimeout(() => {}, 0);
  clearTimeout(timer);
  return timer.constructor;
}
