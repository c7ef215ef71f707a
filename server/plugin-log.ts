import type { Logger } from '../core/logger.ts';
import type { LoadedPlugin } from '../core/plugin/load.ts';

/** Says once of each plugin of a third party which code runs: its name, its version, and the beginning of its hash. */
export class PluginLog {
  readonly #told = new Set<string>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  tell(plugins: readonly LoadedPlugin[]): void {
    for (const { plugin, specifier, version, integrity } of plugins) {
      const fields = {
        plugin: plugin.name,
        ...(specifier !== plugin.name && { from: specifier }),
        ...(version !== undefined && { version }),
        ...(integrity !== undefined && { integrity: integrity.slice(0, 19) }),
      };
      const line = JSON.stringify(fields);
      if (!this.#told.has(line)) this.#logger.info(fields, 'a plugin is loaded');
      this.#told.add(line);
    }
  }
}
