import { identityOf, type ShippedPackage } from './shipped-packages.ts';

/**
 * Licences that ask for no more than their notice to be kept. Another one, or an expression of several, is looked at by a
 * person before it is added here.
 */
const ALLOWED_LICENCES: readonly string[] = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
];

/** One line for each shipped package whose licence is not among those allowed. */
export function findForbiddenLicences(packages: readonly ShippedPackage[]): string[] {
  return packages.flatMap(shipped =>
    shipped.licence !== null && ALLOWED_LICENCES.includes(shipped.licence)
      ? []
      : [`${identityOf(shipped)} is shipped under ${shipped.licence ?? 'no licence'}`],
  );
}

/** The notices that have to go with the bundles, each text once, under the packages that it is of. */
export function writeNotices(packages: readonly ShippedPackage[]): string {
  const sections = new Map<string, string[]>();
  for (const shipped of packages) {
    const texts = shipped.notices.length > 0 ? shipped.notices : [declared(shipped)];
    for (const text of texts) sections.set(text, [...(sections.get(text) ?? []), identityOf(shipped)]);
  }
  return [...sections].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`).join(`\n${'-'.repeat(80)}\n\n`);
}

const declared = ({ licence, author }: ShippedPackage): string =>
  `Licence: ${licence ?? 'none'}, as its package.json says; the package holds no text of it.${author === null ? '' : `\nAuthor: ${author}`}`;
