import { type CompiledQuery, type Kysely, sql } from 'kysely';
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
];
