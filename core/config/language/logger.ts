import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { section } from './common.ts';

export const LoggerConfig = section(
  {
    level: Type.Enum(['debug', 'info', 'warn', 'warning', 'error'], { default: 'info' }),
    file: Type.Optional(Type.String({ description: 'A path; default: standard error' })),
    format: Type.Enum(['simple', 'verbose', 'json'], { default: 'simple', description: 'json: one object a line' }),
  },
  'Logs',
);
export type LoggerConfig = Static<typeof LoggerConfig>;
