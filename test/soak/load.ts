import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.ts';
import { agents } from './configuration.ts';
import type { Ledger } from './ledger.ts';
import type { Wish } from './stamps.ts';

/** Work that goes on until it is told to stop; then it finishes what it has begun. */
export interface Ongoing {
  stop(): Promise<void>;
}

const shortAnswer: Wish = { pieces: 5, everyMs: 50 };

/** So many callers, each of whom asks for one thing after the other. */
export function callers(client: Client, count: number): Ongoing {
  let stopping = false;
  const call = async (number: number) => {
    // Not all at once with the same.
    for (let turn = number; !stopping; turn++) {
      const agent = turn % 8 < 4 ? agents[0] : agents[1];
      if (turn % 4 === 0) await client.send(agent, shortAnswer);
      else if (turn % 4 === 1) await client.stream(agent, shortAnswer);
      else if (turn % 4 === 2) await client.card(agent);
      else await client.list();
    }
  };
  const calling = Promise.all(Array.from({ length: count }, (_, number) => call(number)));
  return {
    async stop() {
      stopping = true;
      await calling;
    },
  };
}

export interface StreamsOptions {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly count: number;
  readonly seconds: number;
  /** Runs while no revision is written: the streams of one group begin with one revision and so pin one generation. */
  betweenReloads(work: () => Promise<void>): Promise<void>;
}

export interface Streams extends Ongoing {
  /** Whether all of them have been begun. */
  readonly complete: boolean;
  /** How many revisions were replaced while a stream ran: the fewest of all that ended while there were reloads. */
  readonly fewestReloads: number | undefined;
  readonly ended: number;
}

/** Groups of streams that begin one after the other and again when they have ended. Each group pins a generation. */
const groups = 3;
const pieceMs = 200;

export function longStreams({ client, ledger, count, seconds, betweenReloads }: StreamsOptions): Streams {
  const lengthMs = seconds * 1_000;
  const wish: Wish = { pieces: Math.ceil(lengthMs / pieceMs), everyMs: pieceMs };
  const stopping = new AbortController();
  const overlaps: number[] = [];
  let ended = 0;
  let begun = 0;

  const group = async (number: number) => {
    const size = Math.floor((count + number) / groups);
    await sleep((lengthMs / groups) * number, undefined, { signal: stopping.signal }).catch(() => undefined);
    while (!stopping.signal.aborted && size > 0) {
      const streams: Promise<void>[] = [];
      await betweenReloads(async () => {
        const beginning = Array.from({ length: size }, (_, index) => {
          return new Promise<void>((resolve) => {
            const before = ledger.confirmed;
            const stream = client.stream(agents[index % 2] ?? agents[0], wish, resolve);
            streams.push(
              stream.then(() => {
                ended++;
                // What ends after the last reload need not have lived through one.
                if (!stopping.signal.aborted) overlaps.push(ledger.confirmed - before);
              }),
            );
          });
        });
        await Promise.all(beginning);
      });
      begun += streams.length;
      await Promise.all(streams);
    }
  };
  const running = Promise.all(Array.from({ length: groups }, (_, number) => group(number)));
  return {
    get complete() {
      return begun >= count;
    },
    get fewestReloads() {
      return overlaps.length === 0 ? undefined : Math.min(...overlaps);
    },
    get ended() {
      return ended;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
