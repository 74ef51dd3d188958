import type { NeededPolicies } from '../../functions/contracts/policies.ts';
import type { WatchedKeys } from '../../functions/contracts/pulse.ts';
import type { Permission } from '../access/permission.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import type { Reach, SharedPermissions } from './shared-permissions.ts';

export const MILLION = 1_000_000;
export const KIB = 1024;
export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
export const TIB = 1024 ** 4;

/** Everything that there is to say of a step but what it does. Each field is stated for each step: none has a default. */
export interface StepDefinition {
  readonly limits: Limits;
  readonly builtFor: Load;
  readonly placement: Placement;
  /** Whoever calls it. Only a workflow waits for the answer. */
  readonly callers: readonly [Caller, ...Caller[]];
  /** What its function gets beside the configuration and the deployment, which every one gets. */
  readonly environment:
    | 'nothing more'
    | ((configuration: SupplierConfiguration, release: Release) => Readonly<Record<string, string>>);
  /** What it may do, and nothing else: its function has a role of its own. */
  readonly permissions: (within: Reach & SharedPermissions) => readonly Permission[];
}

/** What functions cannot know of the release that they are of, and of what the stacks made. */
export interface Release {
  readonly neededPolicies: NeededPolicies;
  readonly watchedKeys: WatchedKeys;
  readonly roleNames: readonly string[];
}

/** What a step gets of Lambda. Those that go on where they stopped get all the time that Lambda has, a quarter of an hour. */
export interface Limits {
  readonly timeoutMinutes: number;
  readonly memoryMib: number;
  /** Room in /tmp. Lambda gives the least of it, 512, to every function. */
  readonly spoolMib: number;
}

/** The largest of what a step meets at once; beyond, it may end out of time, memory or room. The bench measures it there. */
export interface Load {
  /** How many of what, for one call or, where it goes on from a cursor, for all calls of one item. */
  readonly items: number;
  readonly of: string;
  /** How much it reads or writes for that. */
  readonly bytes: number;
  /** Its input and output, in a workflow. Step Functions passes on 256 KiB at most. */
  readonly payloadBytes: number;
}

/**
 * Where a step runs. What talks to PostgreSQL is in the isolated subnets, and has no way out of the VPC but to S3 and KMS:
 * the `reader` reaches the live databases, the `verifier` restored ones. What calls other services is `outside`.
 */
export type Placement = 'reader' | 'verifier' | 'outside';

export type Caller = 'workflow' | 'schedule' | 'rules';

/** The steps of a capability, by their places under `functions/`. */
export function defineSteps<Name extends string>(
  steps: Readonly<Record<Name, StepDefinition>>,
): Readonly<Record<Name, StepDefinition>> {
  return steps;
}
