import { type ConfigPlan, isEmptyPlan, type NamedSection, namedSections } from '../../../core/config/plan.ts';

const nouns: Readonly<Record<NamedSection, string>> = {
  agents: 'agent',
  llms: 'LLM',
  tools: 'tool',
  document_stores: 'document store',
  databases: 'database',
};
const mostListed = 200;

/** A plan for people: a line for each thing that changes. */
export function planText(plan: ConfigPlan): string {
  const lines: string[] = [];
  for (const section of namedSections) {
    const { added = [], changed = [], removed = [] } = plan.sections[section] ?? {};
    for (const name of added) lines.push(`  + ${nouns[section]} ${name}`);
    for (const { name, keys } of changed) lines.push(`  ~ ${nouns[section]} ${name}${keysText(keys)}`);
    for (const name of removed) lines.push(`  - ${nouns[section]} ${name}`);
  }
  for (const path of plan.settings) lines.push(`  ~ ${path}`);
  const shown = lines.slice(0, mostListed);
  if (lines.length > mostListed) shown.push(`  … and ${lines.length - mostListed} more`);
  if (isEmptyPlan(plan)) shown.push('  The text changes, and nothing of what it says.');
  if (plan.affected.length > 0) {
    shown.push('Made anew because of what they use:');
    for (const { agent, through } of plan.affected.slice(0, mostListed))
      shown.push(`  agent ${agent} (${through.join(', ')})`);
    if (plan.affected.length > mostListed) shown.push(`  … and ${plan.affected.length - mostListed} more`);
  }
  if (plan.restart_required.length > 0)
    shown.push(`Takes effect when Hector is started anew: ${plan.restart_required.join(', ')}`);
  return `${shown.join('\n')}\n`;
}

function keysText(keys: readonly string[]): string {
  const named = keys.filter((key) => key !== '');
  return named.length === 0 ? '' : `: ${named.join(', ')}`;
}
