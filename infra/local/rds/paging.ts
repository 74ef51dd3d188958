import { type Parameters, RdsFault } from './query-protocol.ts';

/**
 * One page of resources in the order of their identifiers; the marker says after which one it goes on.
 * @throws RdsFault InvalidParameterValue
 */
export function takePage<T extends { id: string }>(
  resources: readonly T[],
  parameters: Parameters,
): { page: T[]; marker: string | undefined } {
  const size = parameters.integer('MaxRecords', { min: 20, max: 100 }) ?? 100;
  const marker = parameters.text('Marker');
  const after = marker === undefined ? '' : Buffer.from(marker, 'base64url').toString('utf8');
  const rest = resources.filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = rest.slice(0, size);
  const last = page.at(-1);
  return { page, marker: rest.length > page.length && last ? Buffer.from(last.id).toString('base64url') : undefined };
}

/** Keeps what every filter of the request lets through. @throws RdsFault InvalidParameterValue for an unknown filter. */
export function applyFilters<T>(
  resources: readonly T[],
  parameters: Parameters,
  fields: Readonly<Record<string, (resource: T) => string>>,
): T[] {
  return parameters.filters('Filters').reduce<T[]>(
    (kept, { name, values }) => {
      const field = fields[name];
      if (field === undefined) throw new RdsFault('InvalidParameterValue', `Unrecognized filter name: ${name}`);
      return kept.filter(resource => values.includes(field(resource)));
    },
    [...resources],
  );
}
