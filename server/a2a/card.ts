import { AgentCard } from '@a2a-js/sdk';
import { LegacyRestTransportHandler } from '@a2a-js/sdk/compat/v0_3/server';
import { type A2ARequestHandler, ServerCallContext } from '@a2a-js/sdk/server';
import type { AgentSkill } from '../../core/a2a.ts';
import type { AgentConfig } from '../../core/config/language/agent.ts';
import type { GenerationContents, ServedAgent } from '../../core/runtime/generation.ts';
import { version } from '../version.ts';
import { extensionsOf } from './protocol-extensions.ts';

export interface CardOptions {
  readonly contents: GenerationContents;
  /** Where this server is, for the caller. */
  readonly origin: string;
  /** Whether this server sends push notifications. */
  readonly push: boolean;
}

/** In the order in which clients should prefer them. */
const interfaces = [
  { protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  { protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
  { protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
];

/** What the card of an agent says in A2A 1.0. */
export function agentCard({ name, config }: ServedAgent, { contents, origin, push }: CardOptions): object {
  const url = `${origin}/agents/${encodeURIComponent(name)}`;
  const displayName = config.name ?? name;
  const description = config.description ?? displayName;
  const { authSchemes } = contents;
  const organization = contents.config.name;
  const extensions = extensionsOf(config);
  return {
    name: displayName,
    description,
    // Changes with the configuration, so that a client can tell that it holds an old card.
    version: `${version}+${contents.hash.slice(0, 8)}`,
    supportedInterfaces: interfaces.map((each) => ({ url, ...each })),
    ...(organization !== undefined && { provider: { organization, url: origin } }),
    capabilities: {
      streaming: config.streaming,
      pushNotifications: push,
      extendedAgentCard: hasExtendedCard({ config }, contents),
      ...(extensions.length > 0 && { extensions }),
    },
    defaultInputModes: config.input_modes,
    defaultOutputModes: config.output_modes,
    skills: config.skills?.length
      ? config.skills.map(skillOf)
      : [{ id: 'default', name: displayName, description, tags: [name] }],
    ...(authSchemes.size > 0 && {
      securitySchemes: Object.fromEntries([...authSchemes].map(([key, scheme]) => [key, scheme.securityScheme])),
      // Any one of them is enough. Where credentials are not required, the card only says which kinds there are.
      ...(needsCredentials(config, contents) && {
        securityRequirements: [...authSchemes.keys()].map((key) => ({ schemes: { [key]: { list: [] } } })),
      }),
    }),
  };
}

const needsCredentials = ({ visibility, allow }: AgentConfig, { config }: GenerationContents) =>
  config.server.auth?.require_auth !== false || visibility !== 'public' || allow !== undefined;

/** Where nobody can say who they are, there is nobody to tell more. */
export function hasExtendedCard({ config }: Pick<ServedAgent, 'config'>, { authSchemes }: GenerationContents): boolean {
  return config.extended_card !== undefined && authSchemes.size > 0;
}

/** What is told to authenticated callers: the card, with what `extended_card` says in its place or beside it. */
export function extendedCard(agent: ServedAgent, options: CardOptions): object {
  const card = agentCard(agent, options) as { readonly skills: readonly AgentSkill[] };
  const { description, skills = [] } = agent.config.extended_card ?? {};
  return {
    ...card,
    ...(description !== undefined && { description }),
    skills: [...card.skills, ...skills.map(skillOf)],
  };
}

/** The card with the fields of A2A 0.3 merged in: one document that clients of both versions read. */
export async function hybridCard(card: object): Promise<object> {
  const core = AgentCard.fromJSON(card);
  // The translation is not exported; this handler is the way to it.
  const translator = new LegacyRestTransportHandler({
    getAuthenticatedExtendedAgentCard: async () => core,
  } as unknown as A2ARequestHandler);
  return merge(
    card as Record<string, unknown>,
    await translator.getAuthenticatedExtendedAgentCard(new ServerCallContext()),
  );
}

function skillOf({ id, name, description, tags, examples }: AgentSkill): AgentSkill {
  return {
    id,
    name,
    description: description === '' ? name : description,
    tags,
    ...(examples?.length && { examples }),
  };
}

/** Adds what is missing; objects, such as the security schemes, are merged key by key. */
function merge(into: Readonly<Record<string, unknown>>, from: object): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...into };
  for (const [key, value] of Object.entries(from)) {
    const present = merged[key];
    if (present === undefined) merged[key] = value;
    else if (isPlain(present) && isPlain(value)) merged[key] = merge(present, value);
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
