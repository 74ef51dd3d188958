import type { Template } from './assembly.ts';
import type { CreatedResource } from './record-resource.ts';

/** A stack as CloudFormation knows it: what its last deployment made. */
export interface StandingStack {
  readonly template: Template;
  /** By logical id, each after what it refers to. */
  readonly resources: ReadonlyMap<string, CreatedResource>;
  readonly outputs: ReadonlyMap<string, unknown>;
  readonly exports: ReadonlyMap<string, unknown>;
  /** The names of the exports that it imports. */
  readonly imports: ReadonlySet<string>;
  /** A protected stack is not destroyed. */
  terminationProtection: boolean;
}

/**
 * What CloudFormation remembers, in this process: a local cloud that is opened again takes over whatever lies in its
 * directory as the stacks' own.
 */
export class StackRegistry {
  readonly standing = new Map<string, StandingStack>();
  /** What destroyed stacks left behind, by type and name: no stack creates it again. */
  readonly retained = new Set<string>();

  /** The stacks that import something that `name` exports. */
  importersOf(name: string): string[] {
    const exported = this.standing.get(name)?.exports ?? new Map();
    return [...this.standing]
      .filter(([other, { imports }]) => other !== name && [...imports].some(one => exported.has(one)))
      .map(([other]) => other);
  }

  /** @returns the value of an export, or undefined where no stack exports it. */
  findExport(name: string): unknown {
    for (const { exports } of this.standing.values()) if (exports.has(name)) return exports.get(name);
    return undefined;
  }
}
