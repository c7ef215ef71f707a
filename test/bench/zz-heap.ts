import { execSync } from 'node:child_process'; import { readFileSync } from 'node:fs';
import { load } from './load.ts'; import { sendMessage } from './call.ts';
import { startModel, startHector, pinLoad } from './process.ts';
import { shortAnswer, modelPath } from './answer.ts';
pinLoad();
const model = await startModel();
const h = await startHector({ cli: process.argv[2]! }, { assistant: model.origin + modelPath({ tokens: shortAnswer, every: 0 }) });
for (let i = 0; i < 4; i++) { const m = await load({ name: 'h', call: sendMessage(h.origin, 'assistant'), server: h }, model, { connections: 32, seconds: 4 }); console.log(m.perSecond.toFixed(0), (h.rss()!/1048576).toFixed(0)); }
const pid = execSync(`pgrep -P ${process.pid}`).toString().trim().split('\n').find((p) => { try { return readFileSync(`/proc/${p}/cmdline`, 'utf8').includes('cli.js'); } catch { return false; } });
console.log('pid', pid); process.kill(Number(pid), 'SIGUSR2'); await new Promise(r => setTimeout(r, 25000));
console.log(execSync(`ls -la /proc/${pid}/cwd/`).toString()); execSync(`mv /proc/${pid}/cwd/*.heapsnapshot /tmp/bb/h.heapsnapshot`);
await h.stop(); process.exit(0);
