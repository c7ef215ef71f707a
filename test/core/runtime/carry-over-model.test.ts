import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../../../core/config/snapshot.ts';
import type { Generation } from '../../../core/runtime/generation.ts';
import {
  agent,
  box,
  copied,
  instanceOf,
  llm,
  type Made,
  reader,
  reloads,
  retire,
  type Sections,
  shelf,
} from './reloads.ts';

/** The same numbers for the same seed: a sequence that fails can be run again. */
function dice(seed: number) {
  let state = seed;
  const below = (n: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return {
    below,
    chance: (percent: number) => below(100) < percent,
    of: <T>(list: readonly T[]) => list[below(list.length)] as T,
  };
}

type Dice = ReturnType<typeof dice>;
type World = { -readonly [Section in keyof Sections]: Record<string, object> };

const agents = Array.from({ length: 7 }, (_, index) => `a${index}`);

function randomAgent(index: number, world: World, { below, chance, of }: Dice): object {
  // Of those before it only: no circles.
  const helpers = agents.slice(0, index).filter((name) => world.agents[name] !== undefined);
  const tools = [undefined, [], [of(Object.keys(world.tools))], ['x'], Object.keys(world.tools)];
  const stores = [undefined, [], [of(Object.keys(world.document_stores))]];
  return agent({
    llm: of(Object.keys(world.llms)),
    ...(helpers.length > 0 && chance(40) && { helper: of(helpers) }),
    tools: of(tools),
    document_stores: of(stores),
    instruction: `${below(3)}`,
  });
}

/** Always with a toolset that has the tool `x`, so that it can be named. */
function first(random: Dice): World {
  const world: World = {
    llms: { default: llm(), other: llm() },
    tools: { t0: box(['w', 'x']), t1: box(['y']), r: reader() },
    document_stores: { s0: shelf(), s1: shelf() },
    agents: {},
  };
  for (const [index, name] of agents.entries())
    if (random.chance(80)) world.agents[name] = randomAgent(index, world, random);
  return world;
}

/** Some changes, among them ones that change nothing. What refers to a thing that goes is made anew. */
function changed(before: World, random: Dice): World {
  const { below, chance, of } = random;
  const world: World = {
    llms: { ...before.llms },
    tools: { ...before.tools },
    document_stores: { ...before.document_stores },
    agents: { ...before.agents },
  };
  for (let count = 1 + below(2); count > 0; count--) {
    const name = of(agents);
    const index = agents.indexOf(name);
    switch (below(8)) {
      case 0:
        world.llms[of(Object.keys(world.llms))] = llm(below(3));
        break;
      case 1:
        world.tools['t0'] = box(of([['w', 'x'], ['x', 'z'], ['x']]));
        break;
      case 2:
        if (world.tools['t1']) delete world.tools['t1'];
        else world.tools = chance(50) ? { t1: box(['y']), ...world.tools } : { ...world.tools, t1: box(['y', 'x']) };
        break;
      case 3:
        world.document_stores[of(Object.keys(world.document_stores))] = shelf(below(3));
        break;
      case 4:
        delete world.agents[name];
        break;
      default:
        world.agents[name] = randomAgent(index, world, random);
    }
  }
  for (const [index, name] of agents.entries()) {
    const known = world.agents[name] as { helper?: string; tools?: string[] } | undefined;
    if (!known) continue;
    const lost = known.tools?.some((each) => each !== 'x' && !world.tools[each]);
    if (lost || (known.helper !== undefined && !world.agents[known.helper]))
      world.agents[name] = randomAgent(index, world, random);
  }
  return chance(10) ? copied(world) : world;
}

/** What each instance is made from, said independently of how it is built; and all that has to be open. */
function expected(world: World) {
  const open = new Set<string>();
  const need = (...made: unknown[]): string => {
    const text = JSON.stringify(made);
    open.add(text);
    return text;
  };
  const llms = Object.fromEntries(
    Object.entries(world.llms).map(([name, config]) => [name, need('llm', name, config)]),
  );
  const stores = Object.fromEntries(
    Object.entries(world.document_stores).map(([name, config]) => [name, need('store', name, config)]),
  );
  const served = new Map<string, string>();
  for (const name of agents) {
    const config = world.agents[name] as
      | { llm: string; helper?: string; tools?: string[]; document_stores?: string[] }
      | undefined;
    if (!config) continue;
    const read = (config.document_stores ?? Object.keys(stores)).map((store) => [store, stores[store]]);
    const toolset = (entry: string) => need('tools', entry, world.tools[entry], entry === 'r' ? read : []);
    const entries = Object.keys(world.tools);
    const used: unknown[] = (config.tools ?? entries).filter((entry) => entry !== 'x').map(toolset);
    if (config.tools?.includes('x')) {
      const holds = (entry: string) => (world.tools[entry] as { holds?: string[] }).holds?.includes('x');
      const from = entries.find(holds);
      // Every one is looked into.
      for (const entry of entries) toolset(entry);
      used.push([from && toolset(from), 'x']);
    }
    served.set(name, need('agent', name, config, llms[config.llm], served.get(config.helper ?? ''), read, used));
  }
  return { open, served };
}

test('a thousand sequences of changes: what is new, kept and closed is what a simple model says', async () => {
  const { build, snapshot, after, open, pool } = await reloads();
  let compared = 0;
  for (let seed = 1; seed <= 1_000; seed++) {
    const random = dice(seed);
    const living: { generation: Generation; world: World; loaded: Snapshot; model: ReturnType<typeof expected> }[] = [];
    /** By what it is made from: the instance that is open. */
    const known = new Map<string, unknown>();
    const check = (step: string) => {
      const needed = new Set(living.flatMap(({ model }) => [...model.open]));
      assert.deepEqual(
        [...open].map(({ what }: Made) => what).sort(),
        [...needed].map((made) => (JSON.parse(made) as string[]).slice(0, 2).join(' ')).sort(),
        `seed ${seed}, ${step}: what is open`,
      );
      for (const made of known.keys()) if (!needed.has(made)) known.delete(made);
      for (const { generation, model } of living) {
        assert.deepEqual([...generation.contents.agents.keys()].sort(), [...model.served.keys()].sort());
        for (const [name, made] of model.served) {
          const instance = instanceOf(generation, name);
          assert.equal(instance, known.get(made) ?? instance, `seed ${seed}, ${step}: ${name} is another instance`);
          known.set(made, instance);
        }
      }
    };
    for (let step = 0; step < 5; step++) {
      const last = living.at(-1);
      const world = last ? changed(last.world, random) : first(random);
      const before = [...open];
      if (last && random.chance(15)) {
        const broken = random.chance(50)
          ? { ...world, llms: { ...world.llms, other: llm(0, { fail: true }) } }
          : { ...world, agents: { ...world.agents, bad: agent({ fail: true }) } };
        await assert.rejects(build(after(last.loaded, snapshot(broken)), last.generation), { code: 'config' });
        assert.deepEqual([...open], before, `seed ${seed}, ${step}: a build that fails changes nothing`);
      }
      const whole = snapshot(world);
      const loaded = last ? after(last.loaded, whole) : whole;
      if (loaded.difference) compared++;
      const generation = await build(loaded, last?.generation);
      living.push({ generation, world, loaded, model: expected(world) });
      check(`${step} built`);
      while (living.length > 3 || (living.length > 1 && random.chance(50))) {
        const [gone] = living.splice(random.below(living.length - 1), 1);
        if (gone) await retire(gone.generation);
        check(`${step} retired`);
      }
    }
    for (const { generation } of living.splice(0)) await retire(generation);
    assert.deepEqual([...open], [], `seed ${seed}: nothing stays open`);
    assert.equal(pool.size, 0, `seed ${seed}`);
  }
  assert.ok(compared > 1_000, `${compared} builds that had only to look at what differs`);
});
