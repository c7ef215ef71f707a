import type { Part } from '../../../core/a2a.ts';
import { describePart, toolLine } from '../chat/parts.ts';
import { harmless, oneLine } from '../remote/text.ts';
import { stateName, type WireTask } from '../remote/wire.ts';

const width = 200;

/** A task as people read it: where it stands, what was said, and what it brought. */
export function taskText({ id, contextId, status, artifacts = [], history = [] }: WireTask): string {
  const lines = [
    row('Task', oneLine(id)),
    row('Context', oneLine(contextId ?? '-')),
    row('State', oneLine(stateName(status?.state))),
    ...(status?.timestamp === undefined ? [] : [row('Updated', oneLine(status.timestamp))]),
  ];
  const said = status?.message?.parts ?? [];
  if (said.length > 0) lines.push('', 'Status', ...body(said));
  for (const { role, parts = [] } of history) {
    lines.push('', role === 'ROLE_USER' ? 'User' : 'Agent', ...body(parts));
  }
  for (const { name, artifactId, parts = [] } of artifacts) {
    lines.push('', `Artifact ${oneLine(name || artifactId || '')}`.trimEnd(), ...body(parts));
  }
  return `${lines.join('\n')}\n`;
}

function row(label: string, value: string): string {
  return `${label.padEnd(9)}${value}`;
}

function body(parts: readonly Part[]): string[] {
  return parts.flatMap((part) => {
    if ('text' in part) return indented(part.text);
    const tool = toolLine(part, width);
    if (tool !== undefined) return indented(tool);
    const content = 'data' in part ? indented(JSON.stringify(part.data, undefined, 2) ?? 'null') : [];
    return [...indented(describePart(part)), ...content];
  });
}

function indented(text: string): string[] {
  return harmless(text)
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd());
}
