import { randomBytes } from 'node:crypto';
import { RdsFault } from './query-protocol.ts';

/**
 * An identifier as RDS stores it: lower case; letters, digits and single hyphens; begins with a letter.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.Constraints
 * @throws RdsFault InvalidParameterValue
 */
export function checkIdentifier(name: string, value: string, maximumLength: number): string {
  const identifier = value.toLowerCase();
  if (identifier.length > maximumLength || !/^[a-z](?:-?[a-z0-9])*$/.test(identifier)) {
    throw new RdsFault(
      'InvalidParameterValue',
      `The parameter ${name} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.`,
    );
  }
  return identifier;
}

/** The identifier in what may be an ARN of `kind` in this account and Region. @throws RdsFault InvalidParameterValue */
export function identifierOf(kind: 'db' | 'snapshot', value: string, accountId: string): string {
  if (!value.startsWith('arn:')) return value.toLowerCase();
  const prefix = arnOf(kind, '', accountId);
  if (value.startsWith(prefix)) return value.slice(prefix.length).toLowerCase();
  throw new RdsFault('InvalidParameterValue', `${value} is not the ARN of a ${kind} of this account and Region.`);
}

/** The ARN of an RDS resource. */
export function arnOf(kind: 'db' | 'snapshot' | 'pg' | 'og' | 'subgrp', id: string, accountId: string): string {
  return `arn:aws:rds:eu-west-2:${accountId}:${kind}:${id}`;
}

/** A new `DbiResourceId`. */
export function newResourceId(): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return `db-${Array.from(randomBytes(26), byte => letters[byte % 32]).join('')}`;
}
