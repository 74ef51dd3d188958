import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import type { LedgerDraft } from '../contracts/ledger.ts';
import { ROLE_PREFIX } from '../contracts/policies.ts';
import {
  FOREIGN_ROLE_METRIC,
  IDENTITY_RULE,
  RecordTamperingInput,
  RecordTamperingOutput,
  TAMPER_METRICS,
  TAMPERING,
  type TamperMode,
  type TamperRuleId,
  tamperRuleName,
} from '../contracts/tampering.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { append } from './append.ts';
import { describeTampering, isForeignRole } from './describe-tampering.ts';

/** What was delivered is no CloudTrail event. It waits in the queue of what could not be recorded. */
export class UnreadableEventError extends PermanentError {}

/** CloudWatch Logs delivers 1 MiB at most, before compression. */
const LARGEST_DELIVERY_BYTES = 16 * 1024 * 1024;

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#LambdaFunctionExample */
const Delivery = z.looseObject({
  messageType: z.enum(['DATA_MESSAGE', 'CONTROL_MESSAGE']),
  subscriptionFilters: z.array(z.string()),
  logEvents: z.array(z.looseObject({ message: z.string() })),
});

interface Noticed {
  readonly rule: TamperRuleId;
  readonly mode: TamperMode;
  readonly record: unknown;
}

/**
 * Records what a tamper rule noticed, once for each event, and counts it. It counts first: the alarm does not wait for a
 * ledger that somebody broke. The head is signed with the next entry that a workflow appends, so that this function, which
 * reads what attackers write, needs no key to sign with.
 * @throws UnreadableEventError after everything readable was recorded.
 */
export const handler = step({
  input: RecordTamperingInput,
  output: RecordTamperingOutput,
  run: async (input, { now, deployment }) => {
    const noticed = 'awslogs' in input ? readDelivery(input.awslogs.data) : [{ ...input, record: input.event.detail }];
    const sequences: number[] = [];
    const unreadable: unknown[] = [];
    for (const { rule, mode: noticedAs, record } of noticed) {
      const isForeign = rule === IDENTITY_RULE && isForeignRole(record, readRoleNames());
      const mode = isForeign ? 'tampering' : noticedAs;
      if (isForeign) publishMetrics({ Workflow: TAMPERING }, { [FOREIGN_ROLE_METRIC]: { unit: 'Count', value: 1 } });
      publishMetrics({ Workflow: TAMPERING }, { [TAMPER_METRICS[mode]]: { unit: 'Count', value: 1 } });
      let draft: LedgerDraft;
      try {
        draft = describeTampering(rule, mode, record);
      } catch (error) {
        unreadable.push(error);
        continue;
      }
      const { sequence } = await append(draft, now, deployment);
      log(mode === 'upgrade' ? 'info' : 'error', 'a tamper rule fired', {
        rule,
        mode,
        subject: draft.subject,
        sequence,
      });
      sequences.push(sequence);
    }
    if (unreadable.length > 0) {
      throw new UnreadableEventError(
        `${unreadable.length} of ${noticed.length} events are no CloudTrail records; see runbooks/tampering.md`,
        { cause: unreadable[0] },
      );
    }
    return { sequences };
  },
});

/** Without them every role is a stranger's: an alarm too many is better than one too few. */
function readRoleNames(): ReadonlySet<string> {
  const { DAYBREAK_ROLES: names = '' } = currentRuntime().environment;
  return new Set(names.split(' ').map(name => `${ROLE_PREFIX}${name}`));
}

function readDelivery(data: string): Noticed[] {
  let delivery: z.output<typeof Delivery>;
  try {
    const bytes = gunzipSync(Buffer.from(data, 'base64'), { maxOutputLength: LARGEST_DELIVERY_BYTES });
    delivery = Delivery.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new UnreadableEventError(`a delivery of the trail's log cannot be read: ${describeError(cause)}`, { cause });
  }
  // Sent when a filter is made, to see whether the function answers.
  if (delivery.messageType === 'CONTROL_MESSAGE') return [];
  const upgrade = delivery.subscriptionFilters.includes(tamperRuleName(IDENTITY_RULE, 'upgrade'));
  const mode = upgrade ? 'upgrade' : 'tampering';
  return delivery.logEvents.map(({ message }) => ({ rule: IDENTITY_RULE, mode, record: parseOrText(message) }));
}

function parseOrText(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch {
    return message;
  }
}
