import { join } from 'node:path';
import Database from 'libsql';
import { userMessage } from './a2a-client.ts';
import { Exposition } from './exposition.ts';
import { type Hector, type HectorOptions, startHector } from './hector.ts';
import { ask, rpcBody } from './surfaces.ts';
import { until } from './until.ts';

const plugin = join(import.meta.dirname, 'metered-plugin.mjs');

/** Agents that come to every end that is counted, with all they keep in SQLite. */
export const meteredConfig = (metrics = '{}', agents = '') => `
plugins: ["${plugin}"]
llms: { default: { provider: metered } }
tools: { metered: { type: metered } }
databases: { main: { driver: sqlite, database: kept.db } }
storage: { tasks: { backend: sql, database: main }, sessions: { backend: sql, database: main } }
agents:
  worker: { tools: [metered] }
  asker: { type: asker }
${agents}
observability: { metrics: ${metrics} }
`;

export const startMetered = (config = meteredConfig(), options: HectorOptions = {}) =>
  startHector({ config, args: ['--watch'], ...options });

type Server = Pick<Hector, 'url' | 'folder'>;

export async function tell({ url }: Server, text: string, agent = 'worker', configuration = {}) {
  const { body } = await ask(
    `${url}/agents/${agent}`,
    undefined,
    rpcBody('SendMessage', { message: userMessage(text), configuration }),
  );
  return body.result?.task;
}

/** A task that is canceled while its model answers. */
export async function cancelOne(hector: Server): Promise<void> {
  const { id } = await tell(hector, 'hang', 'worker', { returnImmediately: true });
  const running = async () => (await scrapeOf(hector)).sum('hector_tasks_running') > 0;
  await until(running);
  await ask(`${hector.url}/agents/worker`, undefined, rpcBody('CancelTask', { id }));
}

export const scrapeOf = ({ url }: Pick<Hector, 'url'>, endpoint = '/metrics') => Exposition.scrape(url + endpoint);

/** From now on the database has no tables, and what is asked of it fails. */
export function breakStorage({ folder }: Server): void {
  const database = new Database(join(folder, 'kept.db'));
  const tables = database
    .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
    .all();
  database.pragma('foreign_keys = off');
  for (const { name } of tables as { name: string }[]) database.exec(`drop table "${name}"`);
  database.close();
}
