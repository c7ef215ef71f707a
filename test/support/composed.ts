import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { type ComposeService, readCompose } from '../services/compose.ts';
import { hectorImage } from '../services/hector-image.ts';
import { podman } from '../services/podman.ts';
import { freePort } from '../services/service.ts';
import { type Container, runContainer, serving, startContainer } from './container.ts';

/** Hector's services of a compose file, run as the file says; those beside them run on this machine. */
export interface Composed extends AsyncDisposable {
  readonly url: string;
  readonly services: Readonly<Record<string, ComposeService>>;
  /** Starts the service `hector` and waits until it serves. */
  up(): Promise<Container>;
  /** Runs a service to its end; `command` in the place of its own. */
  run(name: string, command?: readonly string[], options?: readonly string[]): Promise<string>;
}

export interface ComposedOptions {
  /** What the containers find under a name and a port: a port of this machine. `{ 'postgres:5432': 40123 }`. */
  readonly beside?: Readonly<Record<string, number>>;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The image is that of this checkout, the rest is the file's. */
export async function startComposed(
  path: string,
  { beside = {}, environment = {} }: ComposedOptions = {},
): Promise<Composed> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const image = await hectorImage();
  const { services, volumes = {} } = (await readCompose(path, { ...environment, HECTOR_PUBLISH: `127.0.0.1:${port}` }))
    .project;
  const prefix = `hector-test-${port}-`;
  const undo: (() => unknown)[] = [];
  const dispose = async () => {
    for (const each of undo.splice(0).reverse()) await each();
  };
  const names: string[] = [];
  try {
    for (const name of Object.keys(volumes)) undo.push(() => podman('volume', 'rm', '--force', `${prefix}${name}`));
    // The bridge to this machine is there for as long as somebody is on it.
    const idle = await startContainer({ image, command: ['sh', '-c', 'exec sleep 1d'] });
    undo.push(() => idle[Symbol.asyncDispose]());
    const bridge = await idle.inspect('{{.NetworkSettings.Gateway}}');
    for (const [address, target] of Object.entries(beside)) {
      const [name = '', listened] = address.split(':');
      undo.push(await forward(bridge, Number(listened), target));
      names.push('--add-host', `${name}:${bridge}`);
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  const serviceOf = (name: string) => services[name] ?? fail(`${path} has no service ${name}`);
  const optionsOf = (service: ComposeService) => [...names, ...options(service, prefix)];
  return {
    url,
    services,
    async up() {
      const service = serviceOf('hector');
      const container = await startContainer({ image, options: optionsOf(service), command: service.command ?? [] });
      try {
        await serving(container, url);
      } catch (error) {
        await container[Symbol.asyncDispose]();
        throw error;
      }
      return container;
    },
    run(name, command, more = []) {
      const service = serviceOf(name);
      const own = optionsOf({ ...service, ports: [] });
      return runContainer({ image, options: [...own, ...more], command: command ?? service.command ?? [] });
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function fail(message: string): never {
  throw new Error(message);
}

/** As `docker run` has it. */
function options(service: ComposeService, prefix: string): string[] {
  const { environment = {}, ports = [], tmpfs = [], cap_drop = [], security_opt = [] } = service;
  return [
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...ports.flatMap(({ host_ip = '', published, target }) => ['--publish', `${host_ip}:${published}:${target}`]),
    ...(service.volumes ?? []).flatMap(({ type, source, target, read_only }) => [
      '--volume',
      `${type === 'bind' ? source : `${prefix}${source}`}:${target}${read_only ? ':ro' : ''}`,
    ]),
    ...(service.read_only ? ['--read-only'] : []),
    ...tmpfs.flatMap((path) => ['--tmpfs', path]),
    ...cap_drop.flatMap((capability) => ['--cap-drop', capability]),
    ...security_opt.flatMap((option) => ['--security-opt', option]),
    // podman takes the list without its first word, which is CMD.
    ...(service.healthcheck ? ['--health-cmd', JSON.stringify(service.healthcheck.test.slice(1))] : []),
  ];
}

/** What comes to an address goes to a port of this machine. Gives what ends it. */
async function forward(host: string, port: number, target: number): Promise<() => void> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      // Whoever breaks off has no more to hear from the other.
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(port, host);
  await once(server, 'listening');
  return () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
}
