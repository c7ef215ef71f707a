/** Whether a caller who takes these media types (none: whatever there is) takes this one. `text/*` and parameters are understood. */
export function takes(accepts: readonly string[], mediaType: string): boolean {
  if (accepts.length === 0) return true;
  const [group] = mediaType.split('/');
  return accepts.some((accepted) => {
    const type = accepted.split(';')[0]?.trim().toLowerCase();
    return type === mediaType || type === `${group}/*` || type === '*/*' || type === '*';
  });
}
