/** Where `${VAR}` is looked up. */
export interface Environment {
  get(name: string): string | undefined;
}
