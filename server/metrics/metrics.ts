import type { ReloadEvent } from '../../core/config/status.ts';
import type { Telemetry } from '../../core/telemetry/telemetry.ts';
import type { Instruments, MetricsOptions, MetricsSettings, Rendered } from './instruments.ts';
import { RemovedAgents } from './removed-agents.ts';
import type { WorkInstruments } from './work-instruments.ts';

/** What is told of this process in Prometheus's words. */
export interface Metrics extends Telemetry, Pick<WorkInstruments, 'httpAnswered' | 'pushed' | 'recovered'>, Disposable {
  /** From now on there are instruments, as the configuration of the start has them. What has happened before is counted. */
  start(settings: MetricsSettings): void;
  /** Where they are scraped. */
  readonly endpoint: string | undefined;
  /** A document was served or refused. */
  reloaded(event: ReloadEvent): void;
  /** These agents serve from now on; what was counted of others is forgotten in a while. */
  served(agents: Iterable<string>): void;
  /** A generation was told to end because too many drain at once. */
  expired(): void;
  render(): Promise<Rendered>;
}

/** Before there are instruments no more than so much is kept for them: until the start, and while they are loaded. */
const maxEarly = 1_000;
const maxLoading = 50_000;

type Record = (instruments: Instruments) => void;

/**
 * The instruments and their library are loaded after the start, so that it does not pay for them. What happens before is kept
 * for them.
 */
export function createMetrics(options: MetricsOptions & { readonly graceMs?: number }): Metrics {
  let early: Record[] | undefined = [];
  let settings: MetricsSettings | undefined;
  let made: Instruments | undefined;
  let making: Promise<Instruments> | undefined;

  const load = async (given: MetricsSettings) => {
    const { createInstruments } = await import('./instruments.ts');
    made = createInstruments(options, given);
    for (const tell of early ?? []) tell(made);
    early = undefined;
    return made;
  };
  const record = (tell: Record) => {
    if (made) tell(made);
    else if (early && early.push(tell) > (settings ? maxLoading : maxEarly)) early.shift();
  };
  const instruments = () => {
    if (!settings?.enabled) throw new Error('metrics are asked for that nobody counts');
    making ??= load(settings);
    return making;
  };
  const removed = new RemovedAgents((agents) => record((to) => void to.drop(agents)), options.graceMs);
  /** What an agent has done. */
  const recordOf = (agent: string, tell: Record) => {
    removed.worked(agent);
    record(tell);
  };
  return {
    start(given) {
      settings = given;
      if (given.enabled) {
        // Whoever asks is told why they cannot be made, should that be so.
        instruments().catch(() => undefined);
      } else early = undefined;
    },
    get endpoint() {
      return settings?.endpoint;
    },
    reloaded(event) {
      const at = new Date();
      const provider = options.status()?.provider ?? '';
      record((to) => to.reloaded(event, at, provider));
    },
    served: (agents) => removed.served(agents),
    expired: () => record((to) => to.expired()),
    agentAsked: (request) => recordOf(request.agent, (to) => to.agentAsked(request)),
    modelAsked: (call) => recordOf(call.agent, (to) => to.modelAsked(call)),
    toolCalled: (call) => recordOf(call.agent, (to) => to.toolCalled(call)),
    storageAsked: (call) => (made ? made.storageAsked(call) : record((to) => to.storageAsked(call))),
    httpAnswered: (answer) => (made ? made.httpAnswered(answer) : record((to) => to.httpAnswered(answer))),
    pushed: (result) => record((to) => to.pushed(result)),
    recovered: (result) => record((to) => to.recovered(result)),
    render: async () => (await instruments()).render(),
    [Symbol.dispose]: () => removed[Symbol.dispose](),
  };
}
