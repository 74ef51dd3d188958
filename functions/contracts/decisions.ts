import { z } from 'zod';
import { InstantText, RegisterEntryId, Sha256 } from './identifiers.ts';
import { LedgerDraft } from './ledger.ts';
import { LossName } from './losses.ts';
import { POLICY_VERSIONS, type PolicyName } from './policies.ts';

/** Why something was lost, as far as an inquiry found. */
export const LOSS_REASONS = ['mistake', 'attack', 'aws-fault', 'drill', 'cause-not-found'] as const;

/** An opaque id, of a person or a ticket. Nothing personal: the ledger cannot be erased. */
const OpaqueId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/, 'must be an id of letters, digits and . _ / -');

export const AcceptedLoss = z.strictObject({
  loss: LossName,
  reason: z.enum(LOSS_REASONS),
  /** The incident or ticket that explains it. */
  reference: OpaqueId,
});

/** An acceptance that is no more: from then on the loss sounds again, until somebody accepts it. */
export const WithdrawnAcceptance = AcceptedLoss.omit({ reason: true });

/** A decision names so many policies at most: with the longest names it stays below what the steps are built for. */
export const POLICIES_IN_DECISION = 25;

const Policy = z.enum(Object.keys(POLICY_VERSIONS) as PolicyName[]);
/** Null: from before versions, or from somebody else. */
const PolicyVersion = z.int().min(1).max(999_999).nullable();
/** The alias of a policy's key, or its bucket. KMS and S3 allow no longer names. */
const PolicySubject = z
  .string()
  .max(256)
  .regex(/^(?:alias\/daybreak\/[A-Za-z0-9/_-]+|[a-z0-9][a-z0-9.-]*)$/);
const PolicyState = z.enum(['current', 'behind', 'altered', 'ahead', 'unreadable']);

const Upgrade = z.strictObject({
  /** The instant when the upgrade was begun: all that is recorded of it has the same. */
  run: InstantText,
});

/** Policies that an upgrade is about to change. Statements stand there as hashes: a role's name may be a person's. */
const PlannedUpgrade = Upgrade.extend({
  policies: z
    .array(
      z.strictObject({
        policy: Policy,
        subject: PolicySubject,
        /** The key that the subject stood for; null for a bucket. Earlier releases did not say. */
        keyId: z
          .string()
          .regex(/^(?:mrk-)?[0-9a-f-]{32,36}$/)
          .nullable()
          .default(null),
        from: PolicyVersion,
        fromSha256: Sha256.nullable(),
        to: PolicyVersion,
        toSha256: Sha256,
        removedStatements: z.int().min(0).max(10_000),
      }),
    )
    .min(1)
    .max(POLICIES_IN_DECISION),
});

/** What stands after an upgrade, as its command read it back. */
const EndedUpgrade = Upgrade.extend({
  changedCount: z.int().min(0),
  policies: z
    .array(z.strictObject({ policy: Policy, state: PolicyState, version: PolicyVersion, sha256: Sha256.nullable() }))
    .max(POLICIES_IN_DECISION),
  tenantKeys: z.strictObject({
    version: PolicyVersion,
    currentCount: z.int().min(0),
    otherCount: z.int().min(0),
    others: z.array(z.strictObject({ subject: PolicySubject, state: PolicyState })).max(POLICIES_IN_DECISION),
  }),
});

/**
 * What a person did to an entry of the register. Its words are in the register's bucket before this is recorded, and the
 * recording sees their salted hash alone.
 */
const RegisterAct = z.strictObject({ entry: RegisterEntryId, by: OpaqueId });
/** S3 names versions in 1,024 bytes at most. `null`: the bucket keeps none. https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html */
const VersionId = z
  .string()
  .max(1024)
  .regex(/^(?!null$)[A-Za-z0-9._-]+$/);
/** Where words lie, so that a listing tells whether they still do. */
const LyingWords = {
  /** SHA-256 of the document, salt and all. */
  sha256: Sha256,
  versionId: VersionId,
};
const ChangedEntry = RegisterAct.extend({
  ...LyingWords,
  /** Of the newest one that the ledger held when this one was written; null for a new entry. Another one came first otherwise. */
  previousSha256: Sha256.nullable(),
});
const ConfirmedEntry = RegisterAct.extend({
  sha256: Sha256,
  /** When somebody asked whether it is still right: it may be confirmed again, by the same person too. */
  on: z.iso.date(),
});
/** The words that were recorded lie in the bucket as another version than before: somebody wrote over them, or hid them. */
const PutBackEntry = RegisterAct.extend(LyingWords);
const RemovedEntry = RegisterAct.extend({ previousSha256: Sha256 });

/** What a person has recorded. Each kind of it is one of the ledger's. */
export const Decision = z.discriminatedUnion('kind', [
  AcceptedLoss.extend({ kind: z.literal('loss.accepted'), by: OpaqueId }),
  WithdrawnAcceptance.extend({ kind: z.literal('loss.acceptance-withdrawn'), by: OpaqueId }),
  PlannedUpgrade.extend({ kind: z.literal('policies.upgrade-planned') }),
  EndedUpgrade.extend({ kind: z.literal('policies.upgraded') }),
  ChangedEntry.extend({ kind: z.literal('register.changed') }),
  ConfirmedEntry.extend({ kind: z.literal('register.confirmed') }),
  PutBackEntry.extend({ kind: z.literal('register.put-back') }),
  RemovedEntry.extend({ kind: z.literal('register.removed') }),
]);
export type Decision = z.infer<typeof Decision>;

/** `evidence/check-decision`. */
export const CheckDecisionInput = z.strictObject({ decision: Decision });
export const CheckDecisionOutput = z.strictObject({ draft: LedgerDraft });
