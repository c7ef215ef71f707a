import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import { errorCode } from '../core/index.ts';
import type { Place } from './file-trail.ts';

interface Alarm<Owner> {
  readonly identity: string;
  readonly watcher: FSWatcher | undefined;
  /** What it watches may be gone, and it silent for ever. */
  suspect: boolean;
  /** By the name that they look up here; '' for those whose file this is. */
  readonly owners: Map<string, Set<Owner>>;
}

export interface Placing {
  /** Something is watched that was not before: what happened until now went unnoticed. */
  readonly opened: boolean;
  /** Why a place cannot be watched. */
  readonly failure: unknown;
}

/**
 * The system's notices of change at the places on the way to many files; each place is watched once. Folders as well as the
 * files themselves: a mounted file, or one with several names, changes without a notice in its folder.
 */
export class Alarms<Owner> {
  readonly #alarms = new Map<string, Alarm<Owner>>();
  readonly #places = new Map<Owner, readonly Place[]>();
  readonly #onNotice: (owner: Owner) => void;

  constructor(onNotice: (owner: Owner) => void) {
    this.#onNotice = onNotice;
  }

  /** Watches these places for the owner, instead of those before. */
  place(owner: Owner, places: readonly Place[]): Placing {
    let opened = false;
    let failure: unknown;
    const before = this.#places.get(owner) ?? [];
    this.#places.set(owner, places);
    for (const place of places) {
      let alarm = this.#alarms.get(place.path);
      if (!alarm?.watcher || alarm.suspect || alarm.identity !== place.identity) {
        alarm?.watcher?.close();
        const { watcher, error } = this.#open(place.path);
        if (watcher) opened = true;
        else failure ??= error;
        alarm = { identity: place.identity, watcher, suspect: false, owners: alarm?.owners ?? new Map() };
        this.#alarms.set(place.path, alarm);
      }
      const name = place.name ?? '';
      const owners = alarm.owners.get(name) ?? new Set();
      alarm.owners.set(name, owners.add(owner));
    }
    for (const place of before)
      if (!places.some(({ path, name }) => path === place.path && name === place.name)) this.#leave(owner, place);
    return { opened, failure };
  }

  /** Has everything on the owner's way opened anew when it is next placed. */
  distrust(owner: Owner): void {
    for (const { path } of this.#places.get(owner) ?? []) {
      const alarm = this.#alarms.get(path);
      if (alarm) alarm.suspect = true;
    }
  }

  remove(owner: Owner): void {
    for (const place of this.#places.get(owner) ?? []) this.#leave(owner, place);
    this.#places.delete(owner);
  }

  close(): void {
    for (const { watcher } of this.#alarms.values()) watcher?.close();
    this.#alarms.clear();
    this.#places.clear();
  }

  #leave(owner: Owner, { path, name = '' }: Place): void {
    const alarm = this.#alarms.get(path);
    const owners = alarm?.owners.get(name);
    owners?.delete(owner);
    if (owners?.size === 0) alarm?.owners.delete(name);
    if (alarm?.owners.size !== 0) return;
    alarm.watcher?.close();
    this.#alarms.delete(path);
  }

  #open(path: string): { readonly watcher?: FSWatcher; readonly error?: unknown } {
    try {
      const watcher = watch(path, (event, name) => this.#notice(path, watcher, event, name));
      watcher.on('error', () => this.#notice(path, watcher, 'rename', null));
      return { watcher };
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return { error };
    }
  }

  #notice(path: string, watcher: FSWatcher, event: string, name: string | null): void {
    const alarm = this.#alarms.get(path);
    if (alarm?.watcher !== watcher) return;
    const files = alarm.owners.get('') ?? [];
    // A notice about the watched thing itself comes under its own name: deleted, moved, or unmounted.
    const itself = name === null || name === basename(path) || alarm.owners.has('');
    if (event === 'rename' && itself) alarm.suspect = true;
    const told = itself ? [...alarm.owners.values()].flatMap((owners) => [...owners]) : (alarm.owners.get(name) ?? []);
    for (const owner of new Set([...told, ...files])) this.#onNotice(owner);
  }
}
