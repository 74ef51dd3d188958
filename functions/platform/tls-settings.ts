/**
 * Why a PostgreSQL server of RDS with the values of a parameter group lets somebody talk to it without TLS 1.2 or newer;
 * empty when it does not. RDS forces TLS by default from PostgreSQL 15 on, and PostgreSQL has TLS 1.2 as its minimum from
 * 13 on.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html
 * https://www.postgresql.org/docs/13/runtime-config-connection.html#GUC-SSL-MIN-PROTOCOL-VERSION
 */
export function findTlsGaps(values: ReadonlyMap<string, string>, engineVersion: string): string[] {
  const major = Number.parseInt(engineVersion, 10);
  const forced = values.get('rds.force_ssl') ?? (major >= 15 ? '1' : '0');
  const minimum = values.get('ssl_min_protocol_version') ?? (major >= 13 ? 'TLSv1.2' : 'TLSv1');
  return [
    ...(forced === '1' ? [] : [`rds.force_ssl is ${forced}; it must be 1`]),
    ...(minimum === 'TLSv1.2' || minimum === 'TLSv1.3'
      ? []
      : [`ssl_min_protocol_version is ${minimum || 'not set'}; it must be TLSv1.2 or TLSv1.3`]),
  ];
}
