import type { Findings } from './findings.ts';
import { type ConfigTree, get, valueAt } from './tree.ts';

/** `storage.checkpoint`: what contradicts itself, and what has no effect. */
export function checkCheckpoint(tree: ConfigTree, findings: Findings): void {
  const path = ['storage', 'checkpoint'];
  const checkpoint = valueAt(tree.root, path);
  const recovery = get(checkpoint, 'recovery');
  const enabled = get(checkpoint, 'enabled');
  if (enabled === false) {
    for (const key of ['auto_resume', 'auto_resume_hitl']) {
      if (get(recovery, key) !== true) continue;
      findings.warn(
        [...path, 'recovery', key],
        'checkpoint',
        'has no effect, since storage.checkpoint.enabled is false: a task whose process has ended fails. Write enabled: true',
      );
    }
  }
  if (enabled !== true) return;
  const strategy = get(checkpoint, 'strategy');
  const interval = get(checkpoint, 'interval');
  if (interval === 0 && (strategy === 'interval' || strategy === 'hybrid')) {
    const how = 'Write interval: 5, say, or strategy: event';
    const message = `"${strategy}" needs "interval:", the number of model calls between two checkpoints. ${how}`;
    findings.error([...path, 'strategy'], 'checkpoint', message);
  }
  if (typeof interval === 'number' && interval > 0 && strategy === 'event') {
    const how = 'Write strategy: interval, or hybrid for both';
    findings.warn([...path, 'interval'], 'checkpoint', `has no effect with strategy: event. ${how}`);
  }
  if (get(recovery, 'auto_resume_hitl') === true && get(recovery, 'auto_resume') === false) {
    const how = 'Write auto_resume: true too';
    findings.warn([...path, 'recovery', 'auto_resume_hitl'], 'checkpoint', `has no effect without auto_resume. ${how}`);
  }
}
