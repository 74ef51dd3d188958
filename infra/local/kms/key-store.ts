import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Key } from './key.ts';

/** An alias and the key that it stands for. */
export interface Alias {
  readonly name: string;
  keyId: string;
  readonly createdAtMs: number;
  updatedAtMs: number;
}

/** `Key` as a file holds it. */
type StoredKey = Omit<Key, 'tags' | 'material'> & { tags: [string, string][]; material: string };

const ALIASES = 'aliases.json';

/**
 * All keys and aliases, in memory and, where a directory is given, in one file for each key and one for the aliases.
 * The files hold the secret key material: on a laptop they stand in for AWS's hardware modules. Each write replaces a
 * file whole, and what a file held before is overwritten on the disk, so that a destroyed key is gone.
 */
export class KeyStore {
  readonly keys = new Map<string, Key>();
  readonly aliases = new Map<string, Alias>();
  readonly #directory: string | undefined;

  constructor(directory: string | undefined) {
    this.#directory = directory;
    if (directory === undefined) return;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory)) {
      // A draft is a write that never happened, and zeros are a key whose destruction was interrupted.
      if (name.endsWith('.draft') || isOverwritten(join(directory, name))) destroyFile(join(directory, name));
      else if (name === ALIASES) {
        for (const alias of readJson(join(directory, name)) as Alias[]) this.aliases.set(alias.name, alias);
      } else if (name.endsWith('.json')) {
        const stored = readJson(join(directory, name)) as StoredKey;
        const material = Buffer.from(stored.material, 'base64');
        this.keys.set(stored.id, { ...stored, tags: new Map(stored.tags), material });
      }
    }
    for (const { name, keyId } of [...this.aliases.values()]) if (!this.keys.has(keyId)) this.aliases.delete(name);
  }

  /** The names of the aliases of a key. */
  aliasesOf(key: Key): string[] {
    return [...this.aliases.values()].filter(({ keyId }) => keyId === key.id).map(({ name }) => name);
  }

  /** Adds a key, or keeps a change to one. */
  saveKey(key: Key): void {
    this.keys.set(key.id, key);
    this.#write(`${key.id}.json`, { ...key, tags: [...key.tags], material: key.material.toString('base64') });
  }

  saveAliases(): void {
    this.#write(ALIASES, [...this.aliases.values()]);
  }

  /** Destroys a key, its material and its aliases: nothing brings it back. */
  destroyKey(key: Key): void {
    key.material.fill(0);
    this.keys.delete(key.id);
    if (this.#directory !== undefined) destroyFile(join(this.#directory, `${key.id}.json`));
    const aliases = this.aliasesOf(key);
    for (const name of aliases) this.aliases.delete(name);
    if (aliases.length > 0) this.saveAliases();
  }

  #write(name: string, content: unknown): void {
    if (this.#directory === undefined) return;
    const path = join(this.#directory, name);
    const draft = `${path}.draft`;
    const file = openSync(draft, 'w', 0o600);
    try {
      writeFileSync(file, JSON.stringify(content));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    const previous = openIfThere(path);
    renameSync(draft, path);
    if (previous !== undefined) overwrite(previous);
  }
}

function isOverwritten(path: string): boolean {
  return readFileSync(path).every(byte => byte === 0);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${path}: not readable as the local cloud's key store; remove the state directory and start anew`, {
      cause,
    });
  }
}

function destroyFile(path: string): void {
  const file = openIfThere(path);
  if (file !== undefined) overwrite(file);
  rmSync(path, { force: true });
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function overwrite(file: number): void {
  try {
    const { size } = fstatSync(file);
    for (let at = 0; at < size; ) at += writeSync(file, Buffer.alloc(size - at), 0, undefined, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
