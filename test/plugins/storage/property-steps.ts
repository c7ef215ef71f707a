import type { SessionAppend, SessionKey, StorageBackend } from '../../../core/extension/storage-backend.ts';
import type { Random } from '../../support/random.ts';
import { Pair } from './property-pair.ts';
import {
  agents,
  atWork,
  contexts,
  ending,
  holders,
  owners,
  RandomValues,
  resting,
  texts,
  timestamp,
} from './property-values.ts';

/** What a step may touch: steps that run at the same time share none of it. */
interface Reach {
  readonly ids: readonly string[];
  readonly keys: readonly SessionKey[];
}

interface Step {
  readonly name: string;
  run(): Promise<void>;
}

const longMs = 600_000;
const never = new AbortController().signal;

/** One backend, step by step beside the model. */
export class Comparison {
  readonly #pair: Pair;
  readonly #random: Random;
  readonly #values: RandomValues;
  readonly #all: Reach;
  readonly #ofOne: readonly ((reach: Reach) => Step)[];
  readonly #ofAll: readonly (() => Step)[];

  constructor(real: StorageBackend, random: Random) {
    this.#pair = new Pair(real);
    this.#random = random;
    this.#values = new RandomValues(random);
    const keys = owners.flatMap((owner) => contexts.map((contextId) => ({ owner, agent: 'writer', contextId })));
    this.#all = { ids: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], keys };
    const { runs, prune, sessions } = real;
    this.#ofOne = [
      ...[this.#put, this.#put, this.#get, this.#append, this.#history],
      ...(sessions.recent ? [this.#recent, this.#recent] : []),
      ...(sessions.delete ? [this.#delete] : []),
      ...(runs ? [this.#begin, this.#begin, this.#begin, this.#record, this.#record, this.#record, this.#record] : []),
      ...(runs ? [this.#end, this.#end, this.#release, this.#cancel, this.#follow, this.#follow] : []),
    ];
    this.#ofAll = [
      ...[this.#list, this.#list, this.#list],
      ...(runs ? [this.#claim, this.#claim, this.#renew, this.#resign, this.#cancelRequests] : []),
      ...(prune ? [this.#prune] : []),
    ];
  }

  /** Throws where the two differ. */
  async step(): Promise<void> {
    const steps = this.#steps();
    try {
      await Promise.all(steps.map((step) => step.run()));
    } catch (error) {
      if (error instanceof Error) error.message = `${steps.map(({ name }) => name).join(', ')}: ${error.message}`;
      throw error;
    }
  }

  /** Everything that can be seen is the same; leaves nothing that another comparison would meet. */
  async end(): Promise<void> {
    const reach = this.#all;
    for (const id of reach.ids) await this.#get({ ids: [id], keys: [] }).run();
    for (const key of reach.keys) await this.#pair.same((each) => each.sessions.history(key));
    for (const owner of owners) for (const agent of agents) await this.#pair.listed({ owner, agent }, 3);
    if (this.#pair.real.runs) {
      for (const holder of holders) await this.#pair.same((each) => each.runs?.cancelRequests(holder), sorted);
      // Whether one that is gone claims its own is not said.
      await this.#pair.same((each) => each.runs?.renew('one', longMs));
      for (const holder of ['two', 'three']) await this.#pair.same((each) => each.runs?.resign(holder));
      await this.#pair.claimed('one', 100);
      for (const taskId of reach.ids)
        await this.#pair.same((each) => each.runs?.end('one', { taskId, ...ending('TASK_STATE_FAILED', 0) }));
      await this.#pair.same((each) => each.runs?.resign('one'));
    }
    if (!this.#pair.real.prune) return;
    // Those that wait for their caller would stay.
    const ended = reach.ids.map((id) => this.#values.task(id, [resting[0]]));
    for (const task of ended) await this.#pair.same((each) => each.tasks.put(task));
    const later = new Date(Date.now() + longMs).toISOString();
    await this.#pair.same((each) => each.prune?.({ tasksBefore: later, sessionsBefore: later }, never));
  }

  #steps(): readonly Step[] {
    const random = this.#random;
    if (random.below(4) === 0) return [random.one(this.#ofAll).call(this)];
    const { ids, keys } = this.#all;
    const together = random.below(4) === 0 ? keys.length : 1;
    return Array.from({ length: together }, (_, at) => {
      const share = <T>(list: readonly T[]) => list.filter((_, index) => together === 1 || index % together === at);
      return random.one(this.#ofOne).call(this, { ids: share(ids), keys: share(keys) });
    });
  }

  #put(reach: Reach): Step {
    const id = this.#random.one(reach.ids);
    const stored = this.#values.task(id, resting);
    const expected = this.#random.below(2) ? this.#version(id) : undefined;
    const appends = this.#random.below(3) ? undefined : this.#appends(reach);
    const options = { ...(expected !== undefined && { expected }), ...(appends && { appends }) };
    return {
      name: `put ${id} ${JSON.stringify({ expected, appends: appends?.length })}`,
      run: async () => {
        await this.#pair.same((each) => each.tasks.put(stored, options));
        this.#pair.beginsAnew(id);
        await this.#pair.found(id);
      },
    };
  }

  #get({ ids }: Reach): Step {
    const id = this.#random.one(ids);
    return { name: `get ${id}`, run: () => this.#pair.found(id) };
  }

  #begin({ ids }: Reach): Step {
    const random = this.#random;
    const holder = random.one(holders);
    const some = ids.filter(() => random.below(3) === 0);
    const runs = some.map((id) => ({
      id,
      version: this.#version(id),
      task: this.#values.task(id, atWork),
      goesOn: random.below(4),
    }));
    return {
      name: `begin ${holder} ${runs.map(({ id, version }) => `${id}@${version}`)}`,
      run: async () => {
        const starts = await Promise.all(
          runs.map(async ({ id, version, task, goesOn }) => {
            const before = goesOn ? await this.#pair.model.tasks.get(id) : undefined;
            const next = before
              ? { ...before.task, status: task.task.status, artifacts: before.task.artifacts.slice(0, 1) }
              : task.task;
            const { owner, agent } = before ?? task;
            return { task: { task: next, owner, agent }, version, request: JSON.stringify({ id, version }) };
          }),
        );
        await this.#pair.same((each) => each.runs?.begin(holder, starts), sorted);
        for (const id of some) this.#pair.beginsAnew(id);
        for (const id of some) await this.#pair.found(id);
      },
    };
  }

  #record({ ids }: Reach): Step {
    const random = this.#random;
    // Mostly one of its own, or little would ever be recorded.
    const holder = this.#pair.model.holderOf(random.one(ids)) || random.one(holders);
    const some = ids.filter((id) => this.#pair.model.holderOf(id) === holder || random.below(6) === 0);
    const updates = some.map((taskId) => ({
      taskId,
      changes: Array.from({ length: random.below(4) }, () => this.#values.change()),
      ...(random.below(3) === 0 && { checkpoint: JSON.stringify([taskId, random.one(texts), random.below(1_000)]) }),
    }));
    return {
      name: `record ${holder} ${updates.map(({ taskId, changes }) => `${taskId}+${changes.length}`)}`,
      run: async () => {
        await this.#pair.same((each) => each.runs?.record(holder, updates), sorted);
        for (const id of some) await this.#pair.found(id);
      },
    };
  }

  #end(reach: Reach): Step {
    const random = this.#random;
    const taskId = random.one(reach.ids);
    const own = random.below(5) ? this.#pair.model.holderOf(taskId) : undefined;
    const holder = own || random.one(holders);
    const { changes, status } = ending(random.one(resting), random.below(6));
    const more = Array.from({ length: random.below(3) }, () => this.#values.change());
    const appends = random.below(2) ? { appends: this.#appends(reach) } : {};
    return {
      name: `end ${holder} ${taskId}`,
      run: async () => {
        await this.#pair.same((each) =>
          each.runs?.end(holder, { taskId, changes: [...more, ...changes], status, ...appends }),
        );
        await this.#pair.found(taskId);
      },
    };
  }

  #release({ ids }: Reach): Step {
    const holder = this.#random.one(holders);
    const some = ids.filter(() => this.#random.below(4) === 0);
    return {
      name: `release ${holder} ${some}`,
      run: async () => {
        await this.#pair.same((each) => each.runs?.release(holder, some));
        for (const id of some) await this.#pair.found(id);
      },
    };
  }

  #cancel({ ids }: Reach): Step {
    const id = this.#random.one(ids);
    return {
      name: `cancel ${id}`,
      run: async () => {
        await this.#pair.same((each) => each.runs?.requestCancel(id));
        const holder = this.#pair.model.holderOf(id);
        // Of one's own share only: what others ask for at the same time may be there in one and not yet in the other.
        const own = (asked: readonly string[]) => sorted(asked.filter((each) => ids.includes(each)));
        if (holder) await this.#pair.same((each) => each.runs?.cancelRequests(holder), own);
      },
    };
  }

  #follow({ ids }: Reach): Step {
    const id = this.#random.one(ids);
    return {
      name: `follow ${id}`,
      run: () => this.#pair.followed(id),
    };
  }

  #append({ keys }: Reach): Step {
    const key = this.#random.one(keys);
    const messages = this.#values.messages();
    const name = `append ${messages.length} to ${key.owner}/${key.contextId}`;
    return { name, run: () => this.#pair.same((each) => each.sessions.append(key, messages)) };
  }

  #history({ keys }: Reach): Step {
    const key = this.#random.one(keys);
    const name = `history of ${key.owner}/${key.contextId}`;
    return { name, run: () => this.#pair.same((each) => each.sessions.history(key)) };
  }

  #recent({ keys }: Reach): Step {
    const key = this.#random.one(keys);
    const limit = 1 + this.#random.below(6);
    const before = this.#random.below(3) ? undefined : 1 + this.#random.below(12);
    const name = `recent ${limit} before ${before} of ${key.owner}/${key.contextId}`;
    return { name, run: () => this.#pair.same((each) => each.sessions.recent?.(key, limit, before)) };
  }

  #delete({ keys }: Reach): Step {
    const key = this.#random.one(keys);
    const name = `delete ${key.owner}/${key.contextId}`;
    return { name, run: () => this.#pair.same((each) => each.sessions.delete?.(key)) };
  }

  #list(): Step {
    const random = this.#random;
    const query = {
      ...{ owner: random.one(owners), agent: random.one(agents) },
      ...(random.below(2) && { contextId: random.one(contexts) }),
      ...(random.below(2) && { state: random.one([...resting, ...atWork]) }),
      ...(random.below(3) === 0 && { artifacts: random.below(2) === 0 }),
    };
    const pageSize = 1 + random.below(5);
    return { name: `list ${JSON.stringify({ ...query, pageSize })}`, run: () => this.#pair.listed(query, pageSize) };
  }

  #claim(): Step {
    const holder = this.#random.one(holders);
    const limit = 1 + this.#random.below(6);
    return {
      name: `claim ${limit} by ${holder}`,
      run: async () => {
        await this.#pair.same((each) => each.runs?.renew(holder, longMs));
        await this.#pair.claimed(holder, limit);
        for (const id of this.#all.ids) await this.#pair.found(id);
      },
    };
  }

  #renew(): Step {
    const holder = this.#random.one(holders);
    return { name: `renew ${holder}`, run: () => this.#pair.same((each) => each.runs?.renew(holder, longMs)) };
  }

  #resign(): Step {
    const holder = this.#random.one(holders);
    return { name: `resign ${holder}`, run: () => this.#pair.same((each) => each.runs?.resign(holder)) };
  }

  #cancelRequests(): Step {
    const holder = this.#random.one(holders);
    const name = `cancel requests of ${holder}`;
    return { name, run: () => this.#pair.same((each) => each.runs?.cancelRequests(holder), sorted) };
  }

  #prune(): Step {
    const tasksBefore = timestamp(this.#random.below(4));
    const sessions = this.#random.below(4) === 0 ? { sessionsBefore: new Date(Date.now() + longMs).toISOString() } : {};
    return {
      name: `prune ${tasksBefore}`,
      run: async () => {
        await this.#pair.same((each) => each.prune?.({ tasksBefore, ...sessions }, never));
        for (const id of this.#all.ids) await this.#pair.found(id);
      },
    };
  }

  #version(id: string): number {
    const off = this.#random.below(5) ? 0 : this.#random.below(3) - 1;
    return Math.max(0, this.#pair.model.versionOf(id) + off);
  }

  #appends({ keys }: Reach): readonly SessionAppend[] {
    return keys.filter(() => this.#random.below(2)).map((key) => ({ key, messages: this.#values.messages() }));
  }
}

const sorted = (ids: readonly string[]) => [...ids].sort();
