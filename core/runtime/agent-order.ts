import { HectorError } from '../errors.ts';

/**
 * Names in an order in which each comes after those it uses. Names that are not among the keys are ignored.
 * Cycles are found by validation; one that slips through is an error here and not an endless loop.
 */
export function agentOrder(uses: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const order: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (name: string, path: readonly string[]): void => {
    if (state.get(name) === 'done' || !uses.has(name)) return;
    if (state.get(name) === 'open') {
      throw new HectorError('agent_cycle', `Agents use each other in a circle: ${[...path, name].join(' → ')}.`);
    }
    state.set(name, 'open');
    for (const used of uses.get(name) ?? []) visit(used, [...path, name]);
    state.set(name, 'done');
    order.push(name);
  };
  for (const name of uses.keys()) visit(name, []);
  return order;
}
