import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The server has a core of its own; the load and the model share the other. `undefined`: nothing is pinned here. */
export interface Cores {
  readonly server: number;
  readonly load: number;
}

function findCores(): Cores | undefined {
  if (process.platform !== 'linux' || spawnSync('taskset', ['--version']).status !== 0) return undefined;
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const allowed = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  const [server, load] = allowed;
  return server === undefined || load === undefined ? undefined : { server, load };
}

export const cores = findCores();

export const pinLoad = (): void => pinToLoad(process.pid);

/** What it starts from now on is pinned, too. */
export function pinToLoad(pid: number): void {
  if (cores) spawnSync('taskset', ['-acp', String(cores.load), String(pid)]);
}

/** Why Hector could not be measured; everything else that goes wrong is an error of the bench. */
export class NotRunnable extends Error {
  override name = 'NotRunnable';
}

export interface Running {
  readonly origin: string;
  /** CPU microseconds that the process has used, or `undefined` where the system does not say. */
  cpu(): number | undefined;
  /** Bytes of resident memory, or `undefined` where the system does not say. */
  rss(): number | undefined;
  stop(): Promise<void>;
}

export interface HectorOptions {
  readonly cli: string;
  /** A folder for CPU profiles, one a process. */
  readonly profile?: string;
}

const microsecondsPerTick = 10_000;

/** `undefined` where there is no /proc. */
function readProc(pid: number, file: string): string | undefined {
  return process.platform === 'linux' ? readFileSync(`/proc/${pid}/${file}`, 'utf8') : undefined;
}

function cpuOf(pid: number): number | undefined {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return undefined;
  // The second field, the name, may hold spaces; utime and stime are the 12th and 13th after its parenthesis.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick;
}

function rssOf(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readProc(pid, 'status') ?? '')?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

const children = new Set<ChildProcess>();
const folder = mkdtempSync(path.join(tmpdir(), 'hector-bench-'));

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

function start(
  core: number | undefined,
  args: readonly string[],
  stdio: Parameters<typeof spawn>[2]['stdio'],
): ChildProcess {
  const command = [process.execPath, ...args];
  if (core !== undefined) command.unshift('taskset', '-c', String(core));
  const child = spawn(command[0] as string, command.slice(1), { cwd: folder, stdio });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(timer);
}

/** `said`: what the process has written, for the sentence that is told when it is gone. */
function running(child: ChildProcess, origin: string, said: () => string): Running {
  const pid = child.pid as number;
  const measured = (read: (pid: number) => number | undefined) => () => {
    const code = child.exitCode ?? child.signalCode;
    if (code !== null) throw new Error(`${origin} ended with ${code} while it was measured${said()}`);
    return read(pid);
  };
  return { origin, cpu: measured(cpuOf), rss: measured(rssOf), stop: () => stop(child) };
}

/** One of ours: tells its port over IPC, and ends when we do. */
async function own(core: number | undefined, file: string, ...args: string[]): Promise<Running> {
  const source = path.join(import.meta.dirname, file);
  const child = start(
    core,
    ['--import', import.meta.resolve('tsx'), source, ...args],
    ['ignore', 'inherit', 'inherit', 'ipc'],
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${file} ended with code ${code} before it listened`)));
  });
  return running(child, `http://127.0.0.1:${port}`, () => '');
}

export const startModel = (): Promise<Running> => own(cores?.load, 'model-server.ts');
export const startKoa = (): Promise<Running> => own(cores?.server, 'baselines.ts', 'koa');
export const startProxy = (model: Running): Promise<Running> =>
  own(cores?.server, 'baselines.ts', 'proxy', model.origin);

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function healthy(origin: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get(`${origin}/health`, { agent: false }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode === 200));
    });
    request.once('error', () => resolve(false));
    request.setTimeout(1_000, () => request.destroy(new Error('timeout')));
  });
}

const readyMs = 60_000;

/** A streamed answer occupies a connection to the model until it ends, so there must be one for each stream. */
const maxConnections = 1_000;

/** Agents by name, each with a model of its own at `base_url`. Everything not named here has its default. */
function configuration(port: number, agents: Readonly<Record<string, string>>): string {
  const names = Object.keys(agents);
  // JSON is YAML.
  return JSON.stringify({
    version: '2',
    name: 'bench',
    server: { host: '127.0.0.1', port },
    llms: Object.fromEntries(
      names.map((name) => [
        name,
        {
          provider: 'openai',
          model: 'bench',
          api_key: 'bench',
          base_url: agents[name],
          max_connections: maxConnections,
        },
      ]),
    ),
    agents: Object.fromEntries(
      names.map((name) => [
        name,
        { llm: name, description: 'An agent that answers.', instruction: 'Answer in short.' },
      ]),
    ),
  });
}

export interface RunningHector extends Running {
  /** Milliseconds from its start to the first 200 of /health. */
  readonly readyAfter: number;
  readonly port: number;
  /** Its configuration, which it follows if it was told to. */
  readonly config: string;
}

/** Hector on the server's core. */
export async function startHector(
  options: HectorOptions,
  agents: Readonly<Record<string, string>>,
): Promise<RunningHector> {
  return serve(options, (port) => configuration(port, agents));
}

/** The same with any configuration, and more of the command line. */
export async function serve(
  { cli, profile }: HectorOptions,
  text: (port: number) => string,
  args: readonly string[] = [],
): Promise<RunningHector> {
  const port = await freePort();
  const config = path.join(folder, `hector-${port}.yaml`);
  const log = path.join(folder, `hector-${port}.log`);
  writeFileSync(config, text(port));
  const output = openSync(log, 'w');
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const began = performance.now();
  const child = start(cores?.server, [...flags, cli, 'serve', '--config', config, ...args], ['ignore', output, output]);
  closeSync(output);
  const origin = `http://127.0.0.1:${port}`;
  const said = () => `; it said: ${readFileSync(log, 'utf8').trim().slice(-1_500) || 'nothing'}`;
  while (!(await healthy(origin))) {
    const code = child.exitCode ?? child.signalCode;
    if (code !== null) throw new NotRunnable(`hector serve ended with ${code}${said()}`);
    if (performance.now() - began > readyMs) {
      await stop(child);
      throw new NotRunnable(`hector serve was not healthy within ${readyMs / 1_000} s${said()}`);
    }
    await sleep(2);
  }
  return { ...running(child, origin, said), readyAfter: performance.now() - began, port, config };
}
