import type { StorageBackend } from '../extension/storage-backend.ts';
import { attributes } from './names.ts';
import type { Telemetry } from './telemetry.ts';
import { errorTypeOf, Work } from './work.ts';

/** What a storage backend keeps: each has methods that are operations of the database. */
const collections: ReadonlySet<PropertyKey> = new Set(['tasks', 'sessions', 'runs', 'counters']);

/** A database: each operation that is awaited is counted, timed and traced. What it streams is not. */
export function observeStorage(driver: string, backend: StorageBackend, telemetry: Telemetry): StorageBackend {
  return observed(backend, '', driver, telemetry);
}

type Method = (...args: unknown[]) => unknown;

function observed<T extends object>(target: T, collection: string, driver: string, telemetry: Telemetry): T {
  const known = new Map<PropertyKey, { readonly of: unknown; readonly as: unknown }>();
  return new Proxy(target, {
    get(_, property) {
      const value: unknown = Reflect.get(target, property, target);
      const seen = known.get(property);
      if (seen && seen.of === value) return seen.as;
      const as = wrap(value, property);
      known.set(property, { of: value, as });
      return as;
    },
  });

  function wrap(value: unknown, property: PropertyKey): unknown {
    if (typeof value === 'function') {
      if (collection === '' || typeof property === 'symbol') return (value as Method).bind(target);
      return operation(value as Method, String(property));
    }
    const isCollection = collection === '' && collections.has(property) && typeof value === 'object' && value !== null;
    return isCollection ? observed(value, String(property), driver, telemetry) : value;
  }

  function operation(method: Method, name: string) {
    return (...args: unknown[]) => {
      const started = performance.now();
      const work = Work.begin(`${name} ${collection}`, {
        kind: 'client',
        attributes: {
          [attributes.database]: driver,
          [attributes.databaseOperation]: name,
          [attributes.databaseCollection]: collection,
        },
      });
      const call = () => method.apply(target, args);
      const result = work ? work.within(call) : call();
      if (!(result instanceof Promise)) {
        work?.end();
        return result;
      }
      const tell = (error?: unknown) => {
        const status = error === undefined ? 'success' : 'error';
        if (error !== undefined) work?.failed(error);
        work?.end();
        telemetry.storageAsked({
          backend: driver,
          operation: `${collection}.${name}`,
          status,
          seconds: (performance.now() - started) / 1_000,
          ...(error !== undefined && { errorType: errorTypeOf(error) }),
        });
      };
      return result.then(
        (value) => {
          tell();
          return value;
        },
        (error: unknown) => {
          tell(error);
          throw error;
        },
      );
    };
  }
}
