import { randomUUID } from 'node:crypto';
import type { AwsResponse } from '../service.ts';

/** An error that the endpoint itself answers, before any service saw the request. */
export interface EndpointError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/**
 * The error in the protocol that the caller speaks: REST-XML for S3, the query protocol's XML for form-encoded requests
 * (RDS, SNS, old CloudWatch clients), JSON for all others.
 */
export function errorResponse(
  service: string,
  contentType: string | undefined,
  { status, code, message }: EndpointError,
): AwsResponse {
  const requestId = randomUUID();
  if (service === 's3') {
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${xmlFields(code, message)}<RequestId>${requestId}</RequestId></Error>`;
    return { status, headers: { 'content-type': 'application/xml', 'x-amz-request-id': requestId }, body };
  }
  if (contentType?.startsWith('application/x-www-form-urlencoded')) {
    const body = `<ErrorResponse><Error><Type>Sender</Type>${xmlFields(code, message)}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`;
    return { status, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
  }
  const headers = {
    'content-type': contentType?.startsWith('application/x-amz-json') ? contentType : 'application/json',
    'x-amzn-errortype': code,
    'x-amzn-requestid': requestId,
  };
  return { status, headers, body: JSON.stringify({ __type: code, message }) };
}

function xmlFields(code: string, message: string): string {
  return `<Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message>`;
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, '\uFFFD');
}
