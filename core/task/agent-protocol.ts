import type { Part } from '../a2a.ts';
import { HectorError } from '../errors.ts';
import type { AgentEvent } from '../extension/agent.ts';
import { partsSize } from './size.ts';

/** What the contents of an event weigh. Throws `agent_protocol` where it is not what an agent may yield. */
export function checkedSize(event: AgentEvent, agent: string): number {
  const garbage = (what: string) => new HectorError('agent_protocol', `The agent "${agent}" yielded ${what}.`);
  switch (event.type) {
    case 'text':
      if (typeof event.delta !== 'string') throw garbage('a text whose delta is not a string');
      return Buffer.byteLength(event.delta);
    case 'artifact':
      if (typeof event.artifact?.artifactId !== 'string') throw garbage('an artifact without an id');
      if (!areParts(event.artifact.parts)) throw garbage('an artifact whose parts are not A2A parts');
      return partsSize(event.artifact.parts);
    case 'status':
      if (!areParts(event.parts)) throw garbage('a status whose parts are not A2A parts');
      if (!areTexts(event.extensions ?? [])) throw garbage('a status whose extensions are not URIs');
      return partsSize(event.parts);
    case 'usage':
      if (!Number.isFinite(event.usage?.inputTokens) || !Number.isFinite(event.usage.outputTokens)) {
        throw garbage('a usage without the numbers of its tokens');
      }
      return 0;
    case 'input_required':
    case 'auth_required':
      if (!areParts(event.parts)) throw garbage('a question whose parts are not A2A parts');
      return partsSize(event.parts);
    default:
      throw garbage(
        'something that is no event of an agent (text, artifact, status, usage, input_required, auth_required)',
      );
  }
}

function areTexts(values: unknown): values is readonly string[] {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

function areParts(parts: unknown): parts is readonly Part[] {
  return Array.isArray(parts) && parts.every(isPart);
}

function isPart(part: unknown): part is Part {
  if (typeof part !== 'object' || part === null) return false;
  const { text, raw, url, data } = part as Record<string, unknown>;
  return typeof text === 'string' || typeof raw === 'string' || typeof url === 'string' || data !== undefined;
}
