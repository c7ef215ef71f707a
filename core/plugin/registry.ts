import { HectorError } from '../errors.ts';
import type { PointName } from '../extension/points.ts';
import { points } from '../extension/points.ts';
import type { Extension, Plugin } from './definition.ts';

export interface RegisteredExtension<P extends PointName = PointName> {
  readonly extension: Extension<P>;
  readonly plugin: Plugin;
}

/** Every extension that can be configured, by its point and its name. */
export class Registry {
  readonly #extensions = new Map<string, RegisteredExtension>();
  readonly plugins: readonly Plugin[];

  constructor(plugins: readonly Plugin[]) {
    this.plugins = plugins;
    const owners = new Set<string>();
    for (const plugin of plugins) {
      if (owners.has(plugin.name)) {
        throw new HectorError('plugin_conflict', `Two plugins are named "${plugin.name}". List each plugin once.`);
      }
      owners.add(plugin.name);
      for (const extension of plugin.provides) this.#add(plugin, extension);
    }
  }

  #add(plugin: Plugin, extension: Extension): void {
    const key = `${extension.point}/${extension.name}`;
    const other = this.#extensions.get(key);
    if (other) {
      throw new HectorError(
        'plugin_conflict',
        `The plugins "${other.plugin.name}" and "${plugin.name}" both provide the ${points[extension.point].noun} "${extension.name}". Use one of them.`,
      );
    }
    this.#extensions.set(key, { plugin, extension });
  }

  find<P extends PointName>(point: P, name: string): RegisteredExtension<P> | undefined {
    return this.#extensions.get(`${point}/${name}`) as RegisteredExtension<P> | undefined;
  }

  /** In the order of registration: the built-in ones first. */
  all<P extends PointName>(point: P): readonly RegisteredExtension<P>[] {
    return [...this.#extensions.values()].filter(
      (entry) => entry.extension.point === point,
    ) as RegisteredExtension<P>[];
  }
}
