import { definePlugin, duration, milliseconds, type StorageBackend, storageBackend, Type } from '../../core/index.ts';
import { memorySessions } from './inmemory/sessions.ts';
import { memoryTasks } from './inmemory/tasks.ts';

const options = Type.Object(
  {
    max_tasks: Type.Integer({ minimum: 1, default: 10_000, description: 'Tasks kept; the oldest finished go first' }),
    task_ttl: duration('1h', 'How long a finished task is kept'),
    max_sessions: Type.Integer({
      minimum: 1,
      default: 10_000,
      description: 'Conversations kept; the longest unused go first',
    }),
    session_ttl: duration('24h', 'How long an unused conversation is kept, and a task that waits for its caller'),
    max_session_messages: Type.Integer({
      minimum: 2,
      default: 1_000,
      description: 'Messages kept of one conversation',
    }),
  },
  { additionalProperties: false },
);

const inmemory = storageBackend({
  name: 'inmemory',
  description: 'Keeps tasks and conversations in this process, bounded by number and age. They are gone when it ends.',
  options,
  create(settings): StorageBackend {
    const sessionMs = milliseconds(settings.session_ttl);
    const sessions = memorySessions(settings.max_sessions, sessionMs, settings.max_session_messages);
    const tasks = memoryTasks(settings.max_tasks, milliseconds(settings.task_ttl), sessionMs, sessions);
    return { tasks, sessions, async ping() {} };
  },
});

export default definePlugin({ apiVersion: 1, name: 'hector/storage-inmemory', provides: [inmemory] });
