import { type ConfigPath, formatPath } from '../config/issue.ts';
import type { PointName } from '../extension/points.ts';
import type { Construction } from './construction.ts';
import type { InstanceRequest } from './instances.ts';
import { isAsBefore, type Part, type Section } from './parts.ts';

export interface SectionOptions<P extends PointName, C extends object> {
  readonly point: P;
  readonly section: ConfigPath;
  readonly configs: Readonly<Record<string, C>> | readonly C[];
  /** As the generation before has it. */
  readonly before?: Section<P> | undefined;
  extensionName(config: C): string;
  request(
    config: C,
    name: string,
    path: ConfigPath,
  ): Pick<InstanceRequest<P>, 'options' | 'madeFrom' | 'context' | 'wrap'>;
}

/** All instances of one section, brought up at once. What cannot be is reported, and missing. */
export async function buildSection<P extends PointName, C extends object>(
  construction: Construction,
  options: SectionOptions<P, C>,
): Promise<Section<P>> {
  const starting: Promise<readonly [string, Part<P> | undefined]>[] = [];
  for (const [name, config] of Object.entries<C>(options.configs as Readonly<Record<string, C>>)) {
    starting.push(build(construction, options, name, config).then((part) => [name, part]));
    const rest = construction.pace.rest();
    if (rest) await rest;
  }
  const built = new Map<string, Part<P>>();
  for (const [name, part] of await Promise.all(starting)) if (part) built.set(name, part);
  return built;
}

async function build<P extends PointName, C extends object>(
  construction: Construction,
  { point, section, configs, before, extensionName, request }: SectionOptions<P, C>,
  name: string,
  config: C,
): Promise<Part<P> | undefined> {
  const { snapshot, report, instances } = construction;
  const path = [...section, Array.isArray(configs) ? Number(name) : name];
  const registered = snapshot.registry.find(point, extensionName(config));
  if (!registered) {
    report.issue(path, `no plugin provides "${extensionName(config)}"`);
    return undefined;
  }
  const { extension } = registered;
  const hashes = construction.files(section, name);
  const old = before?.get(name);
  if (old && isAsBefore(old, config, extension, hashes) && instances.carry(old.instance)) return old;
  return report.attempt(path, async () => {
    const { madeFrom = [], ...asked } = request(config, name, path);
    const place = `${formatPath(section)}.${name}`;
    const instance = await instances.take({ registered, place, ...asked, madeFrom: [...madeFrom, ...hashes] });
    return { config, extension, files: hashes, instance };
  });
}
