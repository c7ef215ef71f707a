import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Postgres, postgresMissing, startPostgres } from '../services/postgres.ts';
import { answer, modelPath } from './answer.ts';
import { type Call, sendMessage, sendStreamingMessage } from './call.ts';
import { type Contestant, type LoadMeasure, median, rounds } from './load.ts';
import { type PgMeter, startPgMeter } from './pg-meter.ts';
import { NotRunnable, pinToLoad, type Running, type RunningHector, startModel } from './process.ts';
import { detail } from './report.ts';
import type { Case, Stage } from './stage.ts';
import { a2a, openStreams } from './streams.ts';

type Database = Readonly<Record<string, unknown>>;

interface Served {
  readonly llm: Readonly<Record<string, unknown>>;
  readonly database?: Database;
}

/** One agent, and its tasks and conversations in a database; in memory where there is none. */
const serving =
  ({ llm, database }: Served) =>
  (port: number) =>
    JSON.stringify({
      version: '2',
      server: { host: '127.0.0.1', port },
      llms: { default: llm },
      agents: { assistant: {} },
      ...(database && {
        databases: { main: database },
        storage: { tasks: { backend: 'sql', database: 'main' }, sessions: { backend: 'sql', database: 'main' } },
      }),
    });

const echo = { provider: 'echo' };

/** A Postgres for the case, and what ends with it. */
async function withPostgres<T>(measure: (server: Postgres) => Promise<T>): Promise<T> {
  if (postgresMissing) throw new NotRunnable(postgresMissing);
  await using server = await startPostgres({ settings: { fsync: 'on', synchronous_commit: 'on' } });
  // It is a server of its own: the core that Hector has is Hector's.
  const [{ pid } = {}] = await server.query(`select pg_read_file('postmaster.pid') as pid`);
  pinToLoad(Number(String(pid).split('\n')[0]));
  return await measure(server);
}

const databaseOf = async ({ user, password, createDatabase }: Postgres, port: number): Promise<Database> => ({
  driver: 'postgres',
  host: '127.0.0.1',
  port,
  database: await createDatabase(),
  user,
  password,
});

const medianOf = (measures: readonly LoadMeasure[]) => median(measures.map(({ perSecond }) => perSecond));

const throughput: Case = {
  name: 'storage-tasks',
  title: 'SendMessage with tasks and conversations in memory, in SQLite and in Postgres, 32 connections',
  run: (stage) =>
    withPostgres(async (server) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'hector-bench-'));
      try {
        const model = await stage.use(startModel());
        const hectors = {
          'in memory': await stage.watching(serving({ llm: echo })),
          SQLite: await stage.watching(
            serving({ llm: echo, database: { driver: 'sqlite', database: path.join(folder, 'hector.db') } }),
          ),
          Postgres: await stage.watching(serving({ llm: echo, database: await databaseOf(server, server.port) })),
        };
        const contestants: Contestant[] = Object.entries(hectors).map(([name, hector]) => ({
          name,
          call: sendMessage(hector.origin, 'assistant'),
          server: hector,
        }));
        const measures = await rounds(contestants, model, { ...stage.options, connections: 32 });
        const of = (who: string) => measures.get(who) ?? [];
        const ratio = (who: string) =>
          median(of(who).map((each, at) => each.perSecond / (of('in memory')[at] as LoadMeasure).perSecond));
        const baseline = { of: 'in memory', value: medianOf(of('in memory')) };
        const check = (who: string, least: number) => ({
          what: `requests/s: ${who}`,
          unit: 'req/s' as const,
          measured: medianOf(of(who)),
          baseline,
          judged: ratio(who),
          target: { least, unit: '×' as const },
        });
        const bare = await bareInserts(server, stage.options.seconds);
        return {
          checks: [check('SQLite', 0.5), check('Postgres', 0.3)],
          details: [...measures].map(([name, all]) => detail(name, all)),
          notes: [`a bare pg client inserts ${bare.toFixed(0)} rows of the same bytes a second, 32 at once`],
          errors: [...measures].flatMap(([name, all]) => {
            const errors = all.reduce((sum, each) => sum + each.errors, 0);
            return errors === 0 ? [] : [`${name}: ${errors} requests failed or were answered wrongly`];
          }),
        };
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }),
};

/** What a task and the two messages of its conversation weigh, in one row. */
const taskBytes = 1_200;

async function bareInserts(server: Postgres, seconds: number): Promise<number> {
  const { user, password, port } = server;
  const pool = new pg.Pool({ host: '127.0.0.1', port, user, password, database: 'postgres', max: 32 });
  await pool.query('create table bare (id bigserial primary key, task text)');
  const end = performance.now() + seconds * 1_000;
  let rows = 0;
  const insert = async () => {
    while (performance.now() < end) {
      await pool.query('insert into bare (task) values ($1)', ['x'.repeat(taskBytes)]);
      rows++;
    }
  };
  await Promise.all(Array.from({ length: 32 }, insert));
  await pool.end();
  return rows / seconds;
}

/** How much of `read` goes on while nothing is asked of the server: heartbeats, above all. */
async function whileAtRest(read: () => number): Promise<number> {
  const before = read();
  const seconds = 6;
  await sleep(seconds * 1_000);
  return (read() - before) / seconds;
}

async function roundTrips(meter: PgMeter, served: RunningHector, call: Call, tasks: number) {
  const send = async () => {
    const body = call.body?.replaceAll('[<id>]', () => `m-${Math.random()}`);
    const response = await fetch(call.url, {
      method: call.method,
      headers: call.headers,
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    if (!text.includes(call.expect)) throw new Error(`${served.origin} answered ${text.slice(0, 300)}`);
  };
  for (let warm = 0; warm < 20; warm++) await send();
  const atRest = await whileAtRest(() => meter.roundTrips);
  const before = meter.roundTrips;
  const began = performance.now();
  for (let task = 0; task < tasks; task++) await send();
  const idle = (atRest * (performance.now() - began)) / 1_000;
  return (meter.roundTrips - before - idle) / tasks;
}

/** Of the task that was begun last: what its rows hold, and those of its conversation. */
const writtenOfNewest = `
  with newest as (select * from hector_tasks order by created_at desc limit 1)
  select
    (select octet_length(task) from newest) + (select coalesce(sum(octet_length(changes) + octet_length(coalesce(statuses, ''))), 0)
      from hector_task_events e where e.task_id = (select id from newest)) as task,
    (select sum(octet_length(message)) from hector_session_events s
      where s.context_id = (select context_id from newest)) as conversation`;

const trips: Case = {
  name: 'storage-trips',
  title: 'round trips to Postgres for a task, and bytes for a streamed answer of 10,000 tokens',
  run: ({ options, use, watching }: Stage) =>
    withPostgres(async (server) => {
      await using meter = await startPgMeter(server.port);
      const model = await use(startModel());
      const database = await databaseOf(server, meter.port);
      const quick = await watching(serving({ llm: echo, database }));
      const tasks = options.rounds * 20;
      const once = await roundTrips(meter, quick, sendMessage(quick.origin, 'assistant'), tasks);
      const streamed = await roundTrips(meter, quick, sendStreamingMessage(quick.origin, 'assistant'), tasks);
      await quick.stop();

      const tokens = 10_000;
      const llm = { provider: 'openai', model: 'bench', api_key: 'none' };
      const long = await watching(
        serving({ llm: { ...llm, base_url: model.origin + modelPath({ tokens, every: 1 }) }, database }),
      );
      const stream = async () => {
        const run = openStreams(sendStreamingMessage(long.origin, 'assistant'), a2a, {
          count: 1,
          ramp: 0,
          tokens,
          timeout: 120_000,
        });
        await run.finished;
        return [...run.errors.keys()];
      };
      const errors = await stream();
      const tripsAtRest = await whileAtRest(() => meter.roundTrips);
      const before = { bytes: meter.bytesUp, trips: meter.roundTrips };
      const began = performance.now();
      errors.push(...(await stream()));
      const seconds = (performance.now() - began) / 1_000;
      const sent = meter.bytesUp - before.bytes;
      const streamTrips = meter.roundTrips - before.trips - tripsAtRest * seconds;
      const [written] = await server.query(writtenOfNewest, String(database['database']));
      const ofTask = Number(written?.['task']);
      const ofConversation = Number(written?.['conversation']);
      const own = Buffer.byteLength(answer(tokens));
      return {
        checks: [
          { what: 'round trips a task', unit: '×', measured: once, judged: once, target: { most: 3, unit: '×' } },
          {
            what: 'bytes written of a streamed answer',
            unit: 'KB',
            measured: ofTask / 1_024,
            baseline: { of: 'its own', value: own / 1_024 },
            judged: ofTask / own,
            target: { most: 2, unit: '×' },
          },
        ],
        notes: [
          `a short task that is streamed costs ${streamed.toFixed(2)} round trips, the answer of ${tokens} tokens in ${seconds.toFixed(1)} s ${streamTrips.toFixed(0)}`,
          `with the conversation, which has the answer as well, ${((ofTask + ofConversation) / own).toFixed(2)} × its own bytes are written, and ${(sent / own).toFixed(2)} × are sent, the text of the statements included`,
        ],
        errors,
      };
    }),
};

const page = (origin: string, method: string, params: object, expect: string): Call => ({
  url: `${origin}/agents/assistant`,
  method: 'POST',
  headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  expect,
});

/** Copies of a task that is there, each a second older than the one before. */
const copies = (count: number) => `
  insert into hector_tasks (id, owner, agent, context_id, state, status_at, task, names, created_at, updated_at)
  select 'copy-' || n, owner, agent, 'context-' || n, state,
    to_char(timestamptz '2020-01-01' + n * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.000"Z"'),
    replace(task, id, 'copy-' || n), names, created_at, updated_at
  from (select * from hector_tasks where id not like 'copy-%' limit 1) t,
    generate_series((select count(*) from hector_tasks), ${count} - 1) n;
  analyze hector_tasks`;

const flat: Case = {
  name: 'storage-size',
  title: 'ListTasks and GetTask with 1,000 tasks in Postgres and with 1,000,000, one connection',
  run: ({ options, use, watching }) =>
    withPostgres(async (server) => {
      const model: Running = await use(startModel());
      const database = await databaseOf(server, server.port);
      const served = await watching(serving({ llm: echo, database }));
      const call = sendMessage(served.origin, 'assistant');
      const sent = await fetch(call.url, { method: 'POST', headers: call.headers, body: call.body ?? '' });
      await sent.text();
      const many = options.seconds < 2 ? 50_000 : 1_000_000;
      const measure = async (count: number) => {
        await server.query(copies(count), String(database['database']));
        const contestants: Contestant[] = [
          { name: 'list', call: page(served.origin, 'ListTasks', { pageSize: 50 }, '"copy-'), server: served },
          { name: 'get', call: page(served.origin, 'GetTask', { id: `copy-${count - 10}` }, '"copy-'), server: served },
        ];
        const measures = await rounds(contestants, model, { ...options, connections: 1 });
        return new Map([...measures].map(([name, all]) => [name, median(all.map(({ p50 }) => p50))]));
      };
      const few = await measure(1_000);
      const all = await measure(many);
      const check = (name: 'list' | 'get') => ({
        what: `p50 of a ${name} with ${many.toLocaleString('en')} tasks`,
        unit: 'ms' as const,
        measured: all.get(name),
        baseline: { of: '1,000 tasks', value: few.get(name) },
        judged: (all.get(name) ?? Number.NaN) / (few.get(name) ?? Number.NaN),
        target: { most: 1.25, unit: '×' as const },
      });
      return { checks: [check('list'), check('get')], errors: [] };
    }),
};

export const storageCases: readonly Case[] = [throughput, trips, flat];
