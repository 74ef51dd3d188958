/** The credential scope of a SigV4 signature. */
export interface SignedCredential {
  readonly accessKeyId: string;
  /** `20261122` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/**
 * The credential in an `Authorization` header of SigV4; undefined where there is none.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function credentialOf(authorization: string | undefined): SignedCredential | undefined {
  const start = authorization?.indexOf('Credential=') ?? -1;
  if (authorization === undefined || start < 0) return undefined;
  const end = authorization.indexOf(',', start);
  return parseCredential(authorization.slice(start + 11, end < 0 ? undefined : end).trim());
}

function parseCredential(credential: string): SignedCredential | undefined {
  const [accessKeyId, date, region, service, terminator, ...rest] = credential.split('/');
  if (terminator !== 'aws4_request' || rest.length > 0) return undefined;
  if (!accessKeyId || !date || !region || !service) return undefined;
  return { accessKeyId, date, region, service };
}
