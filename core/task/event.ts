import type { Artifact, Task, TaskStatus } from '../a2a.ts';

/** What happens to a task, in the order in which every reader sees it. The first event is always the task itself. */
export type TaskEvent = {
  /** Its place in what happens to the task: whoever has it can have what follows. */
  readonly id?: string;
} & (
  | { readonly type: 'task'; readonly task: Task }
  | { readonly type: 'status'; readonly taskId: string; readonly contextId: string; readonly status: TaskStatus }
  | {
      readonly type: 'artifact';
      readonly taskId: string;
      readonly contextId: string;
      readonly artifact: Artifact;
      /** The parts go to the end of the artifact with the same id. Text continues its last text part. */
      readonly append: boolean;
      readonly lastChunk: boolean;
    }
);
