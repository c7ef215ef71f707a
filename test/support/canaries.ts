import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Values that must not be seen, each with characters that JSON and URLs write otherwise. */
export class Canaries {
  readonly #values = new Map<string, string>();
  readonly #seen: { readonly where: string; readonly text: string }[] = [];

  /** The value by that name. */
  of(name: string): string {
    const value = this.#values.get(name) ?? `canary-${name}-p@ss/"1+=`;
    this.#values.set(name, value);
    return value;
  }

  /** Something that somebody gets to see. */
  saw(where: string, text: string): void {
    this.#seen.push({ where, text });
  }

  async sawFolder(folder: string, except: readonly string[]): Promise<number> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    const left = files.filter((file) => !except.includes(file.slice(folder.length + 1)));
    for (const file of left) this.saw(file, await readFile(file, 'latin1'));
    return left.length;
  }

  assertUnseen(): void {
    for (const [name, value] of this.#values) {
      const forms = [
        value,
        `canary-${name}`,
        encodeURIComponent(value),
        JSON.stringify(value).slice(1, -1),
        // Whatever stands before it, one of these is the middle of it.
        ...[0, 1, 2].map((at) =>
          Buffer.from(value)
            .subarray(at, at + 15)
            .toString('base64'),
        ),
      ];
      for (const { where, text } of this.#seen)
        for (const form of forms)
          assert.ok(!text.includes(form), `${where} tells the secret "${name}":\n${around(text, form)}`);
    }
  }
}

function around(text: string, form: string): string {
  const at = text.indexOf(form);
  return text.slice(Math.max(0, at - 200), at + 200);
}
