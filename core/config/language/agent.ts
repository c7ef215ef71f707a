import type { Static } from 'typebox';
import { Type } from '../../plugin/type.ts';
import { optionalSection } from './common.ts';

export const Skill = Type.Object(
  {
    id: Type.String({ minLength: 1 }),
    name: Type.String({ minLength: 1 }),
    description: Type.String({ default: '' }),
    tags: Type.Array(Type.String(), { default: [] }),
    examples: Type.Array(Type.String(), { default: [] }),
  },
  { additionalProperties: false },
);

const AllowRule = Type.Object(
  {
    scopes: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    roles: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    subjects: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type AllowRule = Static<typeof AllowRule>;

/** What every agent has, of whatever kind: how it is shown and who may see it. */
export const agentCommon = {
  enabled: Type.Boolean({ default: true, description: 'false: not served, as if it were not there' }),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'Display name; default: the key' })),
  description: Type.Optional(Type.String({ description: 'What the agent is for, in its card' })),
  visibility: Type.Enum(['public', 'internal', 'private'], {
    default: 'public',
    description:
      'public: listed and callable; internal: only for authenticated callers; private: only for other agents of this Hector',
  }),
  allow: Type.Optional(
    Type.Array(AllowRule, {
      description:
        'Who may use the agent: whoever fits one entry, which is to have one of its scopes, one of its roles and one of its subjects, of those that it lists. Absent: everybody who may see it',
    }),
  ),
  skills: Type.Optional(
    Type.Array(Skill, { description: 'Skills in the agent card; default: one made from name and description' }),
  ),
  input_modes: Type.Array(Type.String(), { default: ['text/plain'], description: 'Media types the agent takes' }),
  output_modes: Type.Array(Type.String(), { default: ['text/plain'], description: 'Media types the agent gives' }),
  streaming: Type.Boolean({ default: true, description: 'Whether the agent streams its answers' }),
  extended_card: optionalSection(
    {
      description: Type.Optional(Type.String()),
      skills: Type.Optional(Type.Array(Skill, { description: 'Beside those of the public card' })),
    },
    'What the card says to authenticated callers only',
  ),
};

export const AgentConfig = Type.Object({ type: Type.String(), ...agentCommon });
export type AgentConfig = Static<typeof AgentConfig> & Readonly<Record<string, unknown>>;

export const Defaults = optionalSection(
  {
    llm: Type.Optional(
      Type.String({ 'x-reference': 'llm', description: 'The LLM of agents that name none; else "default"' }),
    ),
  },
  'What agents use that do not say otherwise',
);
