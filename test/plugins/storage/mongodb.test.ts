import { after, before, describe, test } from 'node:test';
import type { StorageBackend } from '../../../core/index.ts';
import mongodb from '../../../plugins/storage/mongodb.ts';
import { testStorageBackend } from '../../conformance/storage.ts';
import { emptyDatabase, type Ferretdb, ferretdbMissing, startFerretdb } from '../../services/ferretdb.ts';
import { createInstance, extensionContext } from '../../support/extension.ts';

const own = process.env['MONGODB_URI'];

describe('the mongodb backend keeps to what all keep to', { skip: own === undefined && ferretdbMissing }, () => {
  let server: Ferretdb | undefined;
  let database = '';
  before(async () => {
    if (own === undefined) server = await startFerretdb();
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  const open = (): Promise<StorageBackend> =>
    createInstance<'storage'>(mongodb, { uri: own ?? server?.url(''), database }, extensionContext<'storage'>());

  testStorageBackend({
    test,
    create() {
      database = emptyDatabase();
      return open();
    },
    reopen: open,
  });
});
