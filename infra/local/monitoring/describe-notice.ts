import type { AlarmNotice, StandingAlarm } from './alarms.ts';

/** An e-mail as SNS sends it. */
export interface NoticeText {
  readonly subject: string;
  readonly text: string;
}

/**
 * What an alarm's notice says when it arrives by e-mail. AWS documents its fields, not how the e-mail is laid out, which is
 * from memory; why the state changed is CloudWatch's own text over data points, and is not written here.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
 */
export function describeNotice({ state, at }: AlarmNotice, { name, description, arn }: StandingAlarm): NoticeText {
  const [, , , , account = ''] = arn.split(':');
  return {
    subject: `${state}: "${name}" in EU (London)`,
    text: [
      'Alarm Details:',
      `- Name:         ${name}`,
      `- Description:  ${description}`,
      `- State Change: to ${state}`,
      `- Timestamp:    ${at.toISOString()}`,
      `- AWS Account:  ${account}`,
      `- Alarm Arn:    ${arn}`,
    ].join('\n'),
  };
}
