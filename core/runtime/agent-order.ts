import { HectorError } from '../errors.ts';

/**
 * Names in an order in which each comes after those it uses. Names that are not among the keys are ignored.
 * Cycles are found by validation; one that slips through is an error here and not an endless loop.
 */
export function agentOrder(uses: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const order: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  /** From the one that is looked at to the one that it is looked at for, each with those it uses that are left. */
  const open: { readonly name: string; readonly left: Iterator<string> }[] = [];
  const enter = (name: string): void => {
    const used = uses.get(name);
    if (!used || state.get(name) === 'done') return;
    if (state.get(name) === 'open') {
      const circle = [...open.map((each) => each.name), name];
      throw new HectorError('agent_cycle', `Agents use each other in a circle: ${circle.join(' → ')}.`);
    }
    state.set(name, 'open');
    open.push({ name, left: used.values() });
  };
  for (const name of uses.keys()) {
    enter(name);
    for (let last = open.at(-1); last; last = open.at(-1)) {
      const next = last.left.next();
      if (!next.done) {
        enter(next.value);
        continue;
      }
      open.pop();
      state.set(last.name, 'done');
      order.push(last.name);
    }
  }
  return order;
}
