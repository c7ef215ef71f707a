import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { MetricsSettings } from './instruments.ts';

type Collect<M> = (this: M) => void;

/** Makers of instruments whose names begin as the configuration says. */
export interface Makers {
  counter<L extends string>(
    name: string,
    help: string,
    labels?: readonly L[],
    collect?: Collect<Counter<L>>,
  ): Counter<L>;
  gauge<L extends string>(name: string, help: string, labels?: readonly L[], collect?: Collect<Gauge<L>>): Gauge<L>;
  histogram<L extends string>(
    name: string,
    help: string,
    labels: readonly L[],
    buckets: readonly number[],
  ): Histogram<L>;
}

export function makers(registry: Registry, { namespace, subsystem }: MetricsSettings): Makers {
  const registers = [registry];
  const full = (name: string) => [namespace, subsystem, name].filter((part) => part !== '').join('_');
  return {
    counter: (name, help, labelNames = [], collect) =>
      new Counter({ name: full(name), help, labelNames, registers, ...(collect && { collect }) }),
    gauge: (name, help, labelNames = [], collect) =>
      new Gauge({ name: full(name), help, labelNames, registers, ...(collect && { collect }) }),
    histogram: (name, help, labelNames, buckets) =>
      new Histogram({ name: full(name), help, labelNames, buckets: [...buckets], registers }),
  };
}
