/** How a price was come by. */
export type Evidence =
  /** AWS's own page says so, for eu-west-2 or for every Region. */
  | 'page'
  /** A public record of AWS's price list for eu-west-2 says so; the list itself was not read. */
  | 'record'
  /** Others say so, of another Region or of none; compare it with your first bill. */
  | 'unconfirmed';

/** Some 180 days. Prices change a few times a year. */
const OLD_AFTER_MS = 180 * 24 * 60 * 60 * 1000;

interface Price {
  /** US dollars, without VAT and without free tiers. */
  readonly usd: number;
  readonly per: string;
  readonly source: string;
  readonly evidence: Evidence;
}

/** The day on which the oldest of the prices was looked up. */
export const PRICES_AS_OF = '2026-10-06';

const list = (service: string) =>
  `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/${service}/current/eu-west-2/index.json`;
const KMS = 'https://aws.amazon.com/kms/pricing/';
const CLOUDWATCH = 'https://aws.amazon.com/cloudwatch/pricing/';

/** What Daybreak uses, in eu-west-2. After a change of one, put the day into `PRICES_AS_OF` once all were looked up again. */
export const PRICES = {
  key: { usd: 1, per: 'KMS key and month', source: KMS, evidence: 'page' },
  keyRequest: { usd: 0.03 / 10_000, per: 'KMS request', source: list('awskms'), evidence: 'record' },
  signatureRequest: {
    usd: 0.15 / 10_000,
    per: 'KMS request to an elliptic-curve key',
    source: KMS,
    evidence: 'unconfirmed',
  },
  snapshotStorage: { usd: 0.1, per: 'GB and month', source: list('AmazonRDS'), evidence: 'record' },
  databaseStorage: { usd: 0.133, per: 'GB and month, gp3', source: list('AmazonRDS'), evidence: 'record' },
  objectStorage: { usd: 0.024, per: 'GB and month, Standard', source: list('AmazonS3'), evidence: 'record' },
  writeRequest: { usd: 0.0053 / 1000, per: 'PUT, COPY, POST or LIST', source: list('AmazonS3'), evidence: 'record' },
  readRequest: { usd: 0.0042 / 10_000, per: 'GET or HEAD', source: list('AmazonS3'), evidence: 'record' },
  functionTime: { usd: 0.0000133334, per: 'GB and second, Arm', source: list('AWSLambda'), evidence: 'record' },
  transition: {
    usd: 0.025 / 1000,
    per: 'state transition',
    source: 'https://aws.amazon.com/step-functions/pricing/',
    evidence: 'page',
  },
  endpoint: {
    usd: 0.011,
    per: 'interface endpoint, Availability Zone and hour',
    source: list('AmazonVPC'),
    evidence: 'record',
  },
  alarm: { usd: 0.1, per: 'alarm and month', source: list('AmazonCloudWatch'), evidence: 'record' },
  compositeAlarm: { usd: 0.5, per: 'composite alarm and month', source: CLOUDWATCH, evidence: 'unconfirmed' },
  metric: { usd: 0.3, per: 'custom metric and month', source: list('AmazonCloudWatch'), evidence: 'record' },
  dashboard: { usd: 3, per: 'dashboard and month', source: CLOUDWATCH, evidence: 'unconfirmed' },
  logIngestion: { usd: 0.5985, per: 'GB', source: list('AmazonCloudWatch'), evidence: 'record' },
  logStorage: { usd: 0.0315, per: 'GB and month', source: list('AmazonCloudWatch'), evidence: 'record' },
  email: { usd: 2 / 100_000, per: 'e-mail', source: 'https://aws.amazon.com/sns/pricing/', evidence: 'unconfirmed' },
  textMessage: {
    usd: 0.04,
    per: 'text message to the United Kingdom, of one part',
    source: 'https://aws.amazon.com/sns/sms-pricing/',
    evidence: 'unconfirmed',
  },
  scheduledInvocation: { usd: 1.15 / 1_000_000, per: 'invocation', source: list('AWSEvents'), evidence: 'record' },
  dataEvent: {
    usd: 0.1 / 100_000,
    per: 'event',
    source: 'https://aws.amazon.com/cloudtrail/pricing/',
    evidence: 'page',
  },
} as const satisfies Record<string, Price>;

/** RDS for PostgreSQL, one Availability Zone, an hour. */
export const INSTANCE_PRICES: Readonly<Record<string, Price>> = {
  'db.t4g.micro': { usd: 0.018, per: 'hour', source: list('AmazonRDS'), evidence: 'record' },
  'db.t4g.small': { usd: 0.036, per: 'hour', source: list('AmazonRDS'), evidence: 'record' },
  // Twice the small one, as in other Regions, within a tenth of a cent.
  'db.t4g.medium': { usd: 0.073, per: 'hour', source: list('AmazonRDS'), evidence: 'unconfirmed' },
};

/** Whether the prices ought to be looked up again before anyone relies on them. */
export function arePricesOld(now: Date, asOf: string = PRICES_AS_OF): boolean {
  return now.getTime() - Date.parse(asOf) > OLD_AFTER_MS;
}
