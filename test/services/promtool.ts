import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { alone, findProgram, installPackages, mayInstall } from './service.ts';

/** Prometheus's own linter: PROMTOOL names one of one's own. */
const find = () => findProgram(process.env['PROMTOOL'] ?? 'promtool');

let promtool = await find();
if (!promtool && mayInstall) {
  promtool = await alone('prometheus', async () => {
    const meanwhile = await find();
    if (meanwhile) return meanwhile;
    await installPackages('prometheus');
    return await find();
  });
}

/** What is missing, for `skip`; nothing where promtool is there. */
export const promtoolMissing = promtool
  ? false
  : 'promtool is not installed: apt-get install prometheus, or set HECTOR_TEST_INSTALL';

/** What `promtool check metrics` finds fault with; empty when there is nothing. */
export async function lintMetrics(text: string): Promise<string> {
  const child = spawn(promtool as string, ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stdin.end(text);
  const [code] = (await once(child, 'close')) as [number | null];
  return code === 0 ? output.trim() : `${output.trim()} (exit code ${code})`;
}
