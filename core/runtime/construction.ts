import { type ConfigPath, formatPath } from '../config/issue.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { HectorError } from '../errors.ts';
import type { ExtensionContext, OutboundContext } from '../extension/points.ts';
import type { Logger } from '../logger.ts';
import { createOutbound, type Outbound } from '../net/outbound.ts';
import { OutboundRules } from '../net/outbound-rules.ts';
import { Pace } from '../pace.ts';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { BuildReport } from './build-report.ts';
import type { Instances } from './instances.ts';

interface ConstructionOptions {
  readonly snapshot: Snapshot;
  readonly report: BuildReport;
  readonly instances: Instances;
  readonly logger: Logger;
  readonly telemetry?: Telemetry | undefined;
}

const none: readonly string[] = [];

/** One build under way: what everything that takes part in it works with. Nothing that is built may hold on to it. */
export class Construction {
  readonly snapshot: Snapshot;
  readonly report: BuildReport;
  readonly instances: Instances;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  readonly pace = new Pace();
  /** Part of what everything is made from that may go where others say. */
  readonly outboundKey: string;
  readonly #outbound: Outbound;
  readonly #abort = new AbortController();
  /** By section and name: hashes of the files that the options of an instance name. */
  readonly #files = new Map<string, Map<string, string[]>>();

  constructor({ snapshot, report, instances, logger, telemetry = noTelemetry }: ConstructionOptions) {
    this.telemetry = telemetry;
    this.snapshot = snapshot;
    this.report = report;
    this.instances = instances;
    this.logger = logger;
    const { allow } = snapshot.config.server.outbound;
    const { key, mistakes } = new OutboundRules(allow);
    for (const { index, message } of mistakes) report.issue(['server', 'outbound', 'allow', index], message, 'schema');
    this.outboundKey = `outbound:${key}`;
    this.#outbound = createOutbound({ allow });
    for (const { path, hash } of snapshot.optionFiles) {
      const depth = path[0] === 'server' ? 3 : 1;
      const section = this.#files.get(formatPath(path.slice(0, depth))) ?? new Map<string, string[]>();
      const name = String(path[depth]);
      section.set(name, [...(section.get(name) ?? []), hash]);
      this.#files.set(formatPath(path.slice(0, depth)), section);
    }
  }

  /** Aborts if the build is given up. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  giveUp(): void {
    this.#abort.abort(new HectorError('build_failed', 'The generation being built was given up.'));
  }

  /** What the files that an instance's options name say: it is another when they change. */
  files(section: ConfigPath, name: string): readonly string[] {
    return this.#files.size === 0 ? none : (this.#files.get(formatPath(section))?.get(name) ?? none);
  }

  outboundContext(name: string, path: ConfigPath): OutboundContext {
    return { ...this.context(name, path), outbound: this.#outbound };
  }

  context(name: string, path: ConfigPath): ExtensionContext {
    const logger = this.logger.child({ [String(path[0])]: name });
    return extensionContext(name, path, this.report, { logger, signal: this.signal }, this.snapshot.folderOf(path));
  }
}

/** Of its own, so that the functions in it hold nothing of the build but the report, which lets go when that is over. */
function extensionContext(
  name: string,
  path: ConfigPath,
  report: BuildReport,
  given: Pick<ExtensionContext, 'logger' | 'signal'>,
  folder: string | undefined,
): ExtensionContext {
  return {
    name,
    ...given,
    ...(folder !== undefined && { folder }),
    warn: (message) => report.warn(path, message),
  };
}
