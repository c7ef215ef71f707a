import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Dialect, Tables } from './tables.ts';

/** Makes statements in a dialect; they are run elsewhere. */
export function builderFor(dialect: Dialect): Kysely<Tables> {
  const isPostgres = dialect === 'postgres';
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => (isPostgres ? new PostgresAdapter() : new SqliteAdapter()),
      createDriver: () => new DummyDriver(),
      createIntrospector: (each) => (isPostgres ? new PostgresIntrospector(each) : new SqliteIntrospector(each)),
      createQueryCompiler: () => (isPostgres ? new PostgresQueryCompiler() : new SqliteQueryCompiler()),
    },
  });
}
