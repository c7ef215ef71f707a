import type { ReloadEvent } from '../../core/config/status.ts';
import type { Instruments, MetricsOptions, Rendered } from './instruments.ts';

/** What is told of this process in Prometheus's words. */
export interface Metrics {
  /** A document was served or refused. */
  reloaded(event: ReloadEvent): void;
  /** A generation was told to end because too many drain at once. */
  expired(): void;
  render(): Promise<Rendered>;
}

/** Where nobody ever asks, the instruments are made all the same once so much waits for them. */
const maxEarly = 1_000;

/**
 * The instruments and their library are loaded when somebody asks for the first time, so that a start does not pay for
 * them. What happens before is kept for them.
 */
export function createMetrics(options: MetricsOptions): Metrics {
  let early: ((instruments: Instruments) => void)[] = [];
  let made: Instruments | undefined;
  let making: Promise<Instruments> | undefined;

  const load = async () => {
    const { createInstruments } = await import('./instruments.ts');
    made = createInstruments(options);
    for (const tell of early) tell(made);
    early = [];
    return made;
  };
  const instruments = () => {
    making ??= load();
    return making;
  };
  const record = (tell: (instruments: Instruments) => void) => {
    if (made) {
      tell(made);
      return;
    }
    // Whoever asks is told why they cannot be made, should that be so.
    if (early.push(tell) >= maxEarly) instruments().catch(() => undefined);
    if (early.length > 2 * maxEarly) early.shift();
  };
  return {
    reloaded(event) {
      const at = new Date();
      const provider = options.status()?.provider ?? '';
      record((to) => to.reloaded(event, at, provider));
    },
    expired: () => record((to) => to.expired()),
    render: async () => (await instruments()).render(),
  };
}
