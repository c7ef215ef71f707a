import { definePlugin, type ExtensionPoints, storageBackend } from '../../core/index.ts';
import { MongodbOptions } from './mongodb/options.ts';

const create = async (settings: MongodbOptions, context: ExtensionPoints['storage']['context']) => {
  const [{ openClient }, { mongodbBackend }] = await Promise.all([loadClient(), loadBackend()]);
  const who = `databases.${context.name}`;
  const { logger, migrate = true } = context;
  return await mongodbBackend(await openClient(settings, who, context.folder), { who, logger, migrate });
};
const loadClient = () => import('./mongodb/client.ts');
const loadBackend = () => import('./mongodb/backend.ts');

const mongodb = storageBackend({
  name: 'mongodb',
  description: 'Keeps tasks and conversations in MongoDB, or in a server that is compatible with it',
  options: MongodbOptions,
  create,
});

export default definePlugin({ apiVersion: 1, name: 'hector/storage-mongodb', provides: [mongodb] });
