import type { Readable } from 'node:stream';

/** Who makes a request. */
export interface Principal {
  /**
   * `role`: a function or workflow under its synthesized role. `root`: the account itself, which the local cloud uses to
   * deploy, seed and inspect; identity policies allow it everything, resource policies still bind it.
   */
  readonly kind: 'role' | 'root';
  /** `arn:aws:iam::<account>:role/<name>` (what `aws:PrincipalArn` holds), or `arn:aws:iam::<account>:root`. */
  readonly arn: string;
  /** True for the code of a function inside the VPC: its requests to S3 and KMS go through the VPC's endpoints. */
  readonly insideVpc?: boolean;
}

/** The services that the local cloud knows, by the name that the SDK signs for. */
export type ServiceName =
  | 's3'
  | 'kms'
  | 'rds'
  | 'states'
  | 'lambda'
  | 'scheduler'
  | 'monitoring'
  | 'sns'
  | 'cloudtrail'
  | 'logs'
  | 'events'
  | 'iam'
  | 'sqs'
  | 'sts'
  | 'tagging';

/** An AWS request, whatever brought it: an SDK client in process, or HTTP. */
export interface AwsRequest {
  readonly service: ServiceName;
  readonly method: string;
  /** For S3 in path style: `/bucket/key`, percent-encoded as sent. */
  readonly path: string;
  readonly query: Readonly<Record<string, string | string[] | null>>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | Readable | undefined;
  readonly principal: Principal;
  /** True over TLS and in process; false over plain HTTP (`aws:SecureTransport`). */
  readonly secure: boolean;
}

/** An AWS response. */
export interface AwsResponse {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array | string | Readable;
}

/** One service's core. It answers AWS errors as responses in the service's own protocol; it throws only for bugs. */
export interface Service {
  handle(request: AwsRequest): Promise<AwsResponse>;
}

/** A request to be allowed, as IAM sees it. */
export interface AuthorizationRequest {
  readonly principal: Principal;
  /** `s3:PutObject` */
  readonly action: string;
  /** The resource's ARN, or `*` where the action has none. */
  readonly resource: string;
  /** The bucket's or key's policy document, if it has one. */
  readonly resourcePolicy?: unknown;
  /** KMS: the key policy must allow (also by naming the account); identity policies alone never do. */
  readonly resourcePolicyRequired?: boolean;
  /** Condition keys (`s3:object-lock-mode`, `kms:ViaService`, …) with their values; absent keys are left out. */
  readonly context: Readonly<Record<string, string | readonly string[]>>;
}

/** The local IAM: judges by the role's identity policies, its permissions boundary, and the resource's policy. */
export interface Authorizer {
  /** @throws AccessDenied when anything denies, or nothing allows. */
  authorize(request: AuthorizationRequest): void;
}

/** AWS's `AccessDenied`: cores translate it into their own protocol's error. */
export class AccessDenied extends Error {
  override readonly name = 'AccessDenied';
}

/**
 * What the local cloud does not implement: an operation, header, parameter, state field, or condition operator, by name.
 * Cores answer it as an error response, so that it is never a silent success.
 */
export class NotImplementedLocally extends Error {
  override readonly name = 'NotImplementedLocally';
  constructor(what: string) {
    super(`the local cloud does not implement ${what}`);
  }
}

/** What S3 and RDS ask of KMS on behalf of the principal whose request they serve (`kms:ViaService`). */
export interface KeyOperations {
  /** `kms:GenerateDataKey`: a fresh 256-bit key, in plain and wrapped. `keyId` is an id, an ARN, or an alias. */
  generateDataKey(request: KeyUse & { keyId: string }): { plaintext: Buffer; ciphertext: Buffer; keyArn: string };
  /** `kms:Decrypt` of a wrapped data key. @throws KeyOperationError when the key is disabled, pending deletion or gone. */
  decryptDataKey(request: KeyUse & { ciphertext: Uint8Array }): { plaintext: Buffer; keyArn: string };
  /** The key's ARN and state, after checking `kms:DescribeKey` and, where `grants` is set, `kms:CreateGrant` with `kms:GrantIsForAWSResource`. */
  describeForService(request: KeyUse & { keyId: string; grants: boolean }): { keyArn: string; enabled: boolean };
}

interface KeyUse {
  readonly principal: Principal;
  /** `s3.eu-west-2.amazonaws.com` */
  readonly viaService: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** KMS refused: `code` is KMS's own (`DisabledException`, `KMSInvalidStateException`, `NotFoundException`, …). */
export class KeyOperationError extends Error {
  override readonly name = 'KeyOperationError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
