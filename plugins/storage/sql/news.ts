import { type RawBuilder, sql } from 'kysely';
import { indexed } from './names.ts';

/** What those listen to who watch tasks, with the id of one, or '' for any. */
const channel = 'hector';

/** What they are told. */
export function newsOf(taskIds: readonly string[]): string {
  const [taskId = ''] = taskIds;
  return taskIds.length === 1 && indexed(taskId) === taskId ? taskId : '';
}

/** A column that wakes them once the statement's transaction is through; nothing where nobody is to be told. */
export const telling = (news: string, notify: boolean): RawBuilder<unknown> =>
  notify ? sql`pg_notify(${channel}, ${news})` : sql`null`;
