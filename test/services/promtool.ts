import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findProgram, foundOrInstalled } from './service.ts';

/** Prometheus and its own linter, from one package: PROMTOOL and PROMETHEUS name ones of one's own. */
const find = async () => {
  const promtool = await findProgram(process.env['PROMTOOL'] ?? 'promtool');
  const prometheus = await findProgram(process.env['PROMETHEUS'] ?? 'prometheus');
  return promtool && prometheus ? { promtool, prometheus } : undefined;
};
const found = await foundOrInstalled(find, 'prometheus');

/** What is missing, for `skip`; `false` where both are there. */
export const prometheusMissing = found
  ? false
  : 'Prometheus is not installed: apt-get install prometheus, or set HECTOR_TEST_INSTALL';

export const prometheusProgram = () => found?.prometheus as string;

/** What `promtool` says, with what it is given. */
export async function promtool(args: readonly string[], input = ''): Promise<{ ok: boolean; output: string }> {
  const child = spawn(found?.promtool as string, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { ok: code === 0, output: code === 0 ? output.trim() : `${output.trim()} (exit code ${code})` };
}

/** What `promtool check metrics` finds fault with; empty when there is nothing. */
export const lintMetrics = async (text: string) => (await promtool(['check', 'metrics'], text)).output;
