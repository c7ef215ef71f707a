import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { coming } from './common.ts';

/** What every entry of `tools` has, of whatever type. */
export const toolCommon = {
  enabled: Type.Boolean({ default: true, description: 'false: as if the entry were not there' }),
  description: Type.Optional(Type.String()),
  require_approval: Type.Optional(
    coming(Type.Boolean(), 'asking a person before a call; until then the calls of such a tool are refused'),
  ),
  approval_prompt: Type.Optional(coming(Type.String(), 'the question put to the person')),
};

export const ToolConfig = Type.Object({ type: Type.String(), ...toolCommon });
export type ToolConfig = Static<typeof ToolConfig> & Readonly<Record<string, unknown>>;
