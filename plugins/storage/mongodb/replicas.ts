import { isDuplicate, type MongoDatabase } from './database.ts';

const dayMs = 24 * 3_600_000;
/** Holders that are long gone are looked for no more often. */
const forgetEveryMs = 3_600_000;

/**
 * The holders, and who of them is alive. Only the clock of the server says so: it writes when a lease was renewed, and is
 * asked what time it is now. The clocks of the processes may be as wrong as they like.
 */
export class Replicas {
  readonly #database: MongoDatabase;
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(database: MongoDatabase) {
    this.#database = database;
  }

  async renew(holder: string, leaseMs: number): Promise<void> {
    const update = { $currentDate: { renewedAt: true }, $set: { leaseMs } } as const;
    const renew = () =>
      this.#database.run(({ maxTimeMS }) =>
        this.#database.replicas.updateOne({ _id: holder }, update, { upsert: true, maxTimeMS }),
      );
    try {
      await renew();
    } catch (error) {
      // Two that renew it for the first time: the other was quicker.
      if (!isDuplicate(error)) throw error;
      await renew();
    }
    if (performance.now() - this.#forgotAt < forgetEveryMs) return;
    await this.#forget();
    this.#forgotAt = performance.now();
  }

  async resign(holder: string): Promise<void> {
    await this.#database.run(({ maxTimeMS }) => this.#database.replicas.deleteOne({ _id: holder }, { maxTimeMS }));
  }

  async alive(): Promise<ReadonlySet<string>> {
    // The time first: who renews in between is alive by either.
    const now = (await this.#database.serverTime()).getTime();
    const all = await this.#database.run((limits) => this.#database.replicas.find({}, limits).toArray());
    return new Set(all.flatMap(({ _id, renewedAt, leaseMs }) => (renewedAt.getTime() + leaseMs > now ? [_id] : [])));
  }

  /** What they hold may be claimed with or without them. */
  async #forget(): Promise<void> {
    const before = new Date((await this.#database.serverTime()).getTime() - dayMs);
    const gone = { renewedAt: { $lt: before } };
    await this.#database.run(({ maxTimeMS }) => this.#database.replicas.deleteMany(gone, { maxTimeMS }));
  }
}
