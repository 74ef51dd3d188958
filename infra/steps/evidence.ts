import { ROLE_PREFIX } from '../../functions/contracts/policies.ts';
import { UNDELIVERED_QUEUE } from '../../functions/contracts/tampering.ts';
import { LEDGER_PROJECTION_PREFIX, PULSE_PREFIX } from '../../functions/contracts/vault-layout.ts';
import type { Permission } from '../access/permission.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { defineSteps, KIB, MIB } from './step.ts';

// Lambda itself sends there what failed three times. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
const leaveUndelivered = ({ account }: SupplierConfiguration): Permission => ({
  actions: ['sqs:SendMessage'],
  resources: [`arn:aws:sqs:${REGION}:${account}:${UNDELIVERED_QUEUE}`],
});

export const EVIDENCE_STEPS = defineSteps({
  'evidence/append-entry': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 20_000, of: 'ledger entries', bytes: 32 * MIB, payloadBytes: 16 * KIB },
    placement: 'outside',
    // Rules, where a run was stopped.
    callers: ['workflow', 'rules'],
    environment: 'nothing more',
    permissions: within => {
      const { configuration, evidenceBucket, workBucket, ledgerKeyArn, entryKeyArn } = within;
      const { readLedger, read, write, sign } = within;
      return [
        ...readLedger,
        ...read(evidenceBucket, 'segments/'),
        ...write(evidenceBucket, 'ledger/', 'segments/', 'heads/'),
        ...write(workBucket, LEDGER_PROJECTION_PREFIX),
        sign(ledgerKeyArn, entryKeyArn),
        leaveUndelivered(configuration),
      ];
    },
  },
  'evidence/check-decision': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'decisions', bytes: MIB, payloadBytes: 16 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ workBucket, read }) => [...read(workBucket, PULSE_PREFIX)],
  },
  'evidence/record-tampering': {
    limits: { timeoutMinutes: 15, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 1, of: 'events', bytes: 32 * MIB, payloadBytes: 256 * KIB },
    placement: 'outside',
    callers: ['rules'],
    // An environment has little room.
    environment: (_configuration, { roleNames }) => ({
      DAYBREAK_ROLES: roleNames.map(name => name.replace(ROLE_PREFIX, '')).join(' '),
    }),
    permissions: ({ configuration, evidenceBucket, entryKeyArn, readLedger, write, sign }) => [
      ...readLedger,
      ...write(evidenceBucket, 'ledger/'),
      sign(entryKeyArn),
      leaveUndelivered(configuration),
    ],
  },
});
