import type { Seen } from './http-servers.ts';

export function sampleTools(
  register: (method: 'tools/list' | 'tools/call', handler: never) => unknown,
  options?: { many?: number; seen?: Seen; listChanged?: () => Promise<void>; session?: string },
): void;
