import { type ColumnDefinitionBuilder, type CompiledQuery, type Kysely, sql } from 'kysely';
import type { Dialect, Tables } from './tables.ts';

interface Migration {
  readonly name: string;
  up(builder: Kysely<Tables>, dialect: Dialect): readonly CompiledQuery[];
}

/** The first makes version 1. What was released never changes: what comes later is another one at the end. */
export const migrations: readonly Migration[] = [
  {
    name: 'tasks and conversations',
    up({ schema }, dialect) {
      // Postgres compares by the rules of a language unless told otherwise, and differently from one machine to the next.
      const name = dialect === 'postgres' ? sql`text collate "C"` : 'text';
      const key = ['owner', 'agent', 'context_id'] as const;
      return [
        schema
          .createTable('hector_tasks')
          .addColumn('id', name, (column) => column.primaryKey().notNull())
          .addColumn('owner', name, (column) => column.notNull())
          .addColumn('agent', name, (column) => column.notNull())
          .addColumn('context_id', name, (column) => column.notNull())
          .addColumn('state', name, (column) => column.notNull())
          .addColumn('status_at', name, (column) => column.notNull())
          .addColumn('task', 'text', (column) => column.notNull())
          .addColumn('names', 'text')
          .addColumn('created_at', name, (column) => column.notNull())
          .addColumn('updated_at', name, (column) => column.notNull()),
        schema
          .createIndex('hector_tasks_by_agent')
          .on('hector_tasks')
          .columns(['owner', 'agent', 'status_at desc', 'id']),
        schema
          .createIndex('hector_tasks_by_context')
          .on('hector_tasks')
          .columns(['owner', 'agent', 'context_id', 'status_at desc', 'id']),
        schema
          .createIndex('hector_tasks_by_state')
          .on('hector_tasks')
          .columns(['owner', 'agent', 'state', 'status_at desc', 'id']),
        schema.createIndex('hector_tasks_by_status_at').on('hector_tasks').columns(['status_at']),
        schema
          .createTable('hector_sessions')
          .addColumn('owner', name, (column) => column.notNull())
          .addColumn('agent', name, (column) => column.notNull())
          .addColumn('context_id', name, (column) => column.notNull())
          .addColumn('last_sequence', 'bigint', (column) => column.notNull())
          .addColumn('names', 'text')
          .addColumn('created_at', name, (column) => column.notNull())
          .addColumn('updated_at', name, (column) => column.notNull())
          .addPrimaryKeyConstraint('hector_sessions_key', [...key]),
        schema
          .createIndex('hector_sessions_by_use')
          .on('hector_sessions')
          .columns(['updated_at desc', ...key]),
        schema.createIndex('hector_sessions_by_owner').on('hector_sessions').columns(['owner', 'updated_at desc']),
        schema
          .createTable('hector_session_events')
          .addColumn('owner', name, (column) => column.notNull())
          .addColumn('agent', name, (column) => column.notNull())
          .addColumn('context_id', name, (column) => column.notNull())
          .addColumn('sequence', 'bigint', (column) => column.notNull())
          .addColumn('message', 'text', (column) => column.notNull())
          .addPrimaryKeyConstraint('hector_session_events_key', [...key, 'sequence'])
          .addForeignKeyConstraint('hector_session_events_of', [...key], 'hector_sessions', [...key], (constraint) =>
            constraint.onDelete('cascade'),
          ),
      ].map((statement) => statement.compile());
    },
  },
  {
    name: 'tasks at work',
    up({ schema }, dialect) {
      const name = dialect === 'postgres' ? sql`text collate "C"` : 'text';
      const zero = (column: ColumnDefinitionBuilder) => column.notNull().defaultTo(0);
      const added = [
        ['version', 'bigint', (column: ColumnDefinitionBuilder) => column.notNull().defaultTo(1)],
        ['sequence', 'bigint', zero],
        ['base_sequence', 'bigint', zero],
        ['holder', name],
        ['request', 'text'],
        ['begun_at', name],
        ['saved_at', name],
        ['claims', 'integer', zero],
        ['cancel_requested', 'integer', zero],
      ] as const;
      return [
        // SQLite takes one column at a time.
        ...added.map(([column, type, more]) => schema.alterTable('hector_tasks').addColumn(column, type, more)),
        schema
          .createIndex('hector_tasks_at_work')
          .on('hector_tasks')
          .columns(['holder', 'id'])
          .where('holder', 'is not', null),
        schema
          .createTable('hector_task_events')
          .addColumn('task_id', name, (column) => column.notNull())
          .addColumn('sequence', 'bigint', (column) => column.notNull())
          .addColumn('changes', 'text', (column) => column.notNull())
          .addColumn('statuses', 'text')
          .addPrimaryKeyConstraint('hector_task_events_key', ['task_id', 'sequence'])
          .addForeignKeyConstraint('hector_task_events_of', ['task_id'], 'hector_tasks', ['id'], (constraint) =>
            constraint.onDelete('cascade'),
          ),
        schema
          .createIndex('hector_task_events_with_status')
          .on('hector_task_events')
          .columns(['task_id', 'sequence'])
          .where(sql.ref('statuses'), 'is not', null),
        schema
          .createTable('hector_checkpoints')
          .addColumn('task_id', name, (column) => column.primaryKey().notNull())
          .addColumn('owner', name, (column) => column.notNull())
          .addColumn('context_id', name, (column) => column.notNull())
          .addColumn('agent', name, (column) => column.notNull())
          .addColumn('checkpoint', 'text', (column) => column.notNull())
          .addColumn('saved_at', name, (column) => column.notNull())
          .addForeignKeyConstraint('hector_checkpoints_of', ['task_id'], 'hector_tasks', ['id'], (constraint) =>
            constraint.onDelete('cascade'),
          ),
        schema
          .createTable('hector_replicas')
          .addColumn('holder', name, (column) => column.primaryKey().notNull())
          .addColumn('lease_until', 'bigint', (column) => column.notNull()),
      ].map((statement) => statement.compile());
    },
  },
  {
    name: 'counters',
    up({ schema }, dialect) {
      const name = dialect === 'postgres' ? sql`text collate "C"` : 'text';
      return [
        schema
          .createTable('hector_counters')
          .addColumn('key', name, (column) => column.notNull())
          .addColumn('window_start', 'bigint', (column) => column.notNull())
          .addColumn('window_end', 'bigint', (column) => column.notNull())
          .addColumn('count', 'bigint', (column) => column.notNull())
          .addPrimaryKeyConstraint('hector_counters_key', ['key', 'window_start']),
        schema.createIndex('hector_counters_by_end').on('hector_counters').columns(['window_end']),
      ].map((statement) => statement.compile());
    },
  },
];
