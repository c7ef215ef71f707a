import { type RawBuilder, sql } from 'kysely';
import { indexed } from './names.ts';

/** What those listen to who watch tasks, with the id of one, or '' for any. */
const channel = 'hector';

/** A column that wakes them once the statement's transaction is through; nothing where nobody is to be told. */
export function telling(taskIds: readonly string[], notify: boolean): RawBuilder<unknown> {
  if (!notify) return sql`null`;
  const [taskId = ''] = taskIds;
  const one = taskIds.length === 1 && indexed(taskId) === taskId;
  return sql`pg_notify(${channel}, ${one ? taskId : ''})`;
}
