const maxCandidates = 2_000;
const maxListed = 10;

/** What was likely meant, if one of the candidates is close enough. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let longer: string | undefined;
  let bestDistance = Math.max(1, Math.floor(Math.min(name.length, 12) / 3)) + 1;
  let seen = 0;
  for (const candidate of candidates) {
    if (++seen > maxCandidates) break;
    if (name.length >= 4 && candidate.startsWith(name)) longer ??= candidate;
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    // Three changed letters of three are another word.
    if (distance < bestDistance && distance < Math.max(name.length, candidate.length) / 2 + 0.5) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? longer;
}

/** `(defined: claude, gpt4)` */
export function listed(label: string, names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return `(${label}: none)`;
  const more = all.length - maxListed;
  return `(${label}: ${all.slice(0, maxListed).join(', ')}${more > 0 ? `, and ${more} more` : ''})`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one into the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (last[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (last[j - 1] as number) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] as number) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] as number;
}
