import type { SupplierConfiguration } from './configuration.ts';

interface Conflict {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What is wrong between parts of a configuration that are right by themselves. */
export function findConflicts(configuration: SupplierConfiguration): Conflict[] {
  const { account, databases, buckets, network } = configuration;
  return [
    ...duplicates(databases.map(({ id }) => id)).map(index => ({
      path: ['databases', index, 'id'],
      message: 'another database has this id; ids stand in the names of snapshots',
    })),
    ...duplicates(databases.map(({ instanceId }) => instanceId)).map(index => ({
      path: ['databases', index, 'instanceId'],
      message: 'another entry backs this instance up; a snapshot holds all databases of an instance',
    })),
    ...duplicates(buckets.map(({ id }) => id)).map(index => ({
      path: ['buckets', index, 'id'],
      message: 'another bucket has this id; ids stand in the names of manifests',
    })),
    ...duplicates(buckets.map(({ name }) => name)).map(index => ({
      path: ['buckets', index, 'name'],
      message:
        'another entry names this bucket: what lies under no tenant, and what both prefixes reach, would be backed up twice',
    })),
    ...buckets.flatMap(({ name }, index) =>
      name.startsWith('daybreak-') && name.endsWith(`-${account}-eu-west-2`)
        ? [
            {
              path: ['buckets', index, 'name'],
              message: "is one of Daybreak's own buckets, which cannot be backed up into itself",
            },
          ]
        : [],
    ),
    ...duplicates(network.isolatedSubnets.map(({ subnetId }) => subnetId)).map(index => ({
      path: ['network', 'isolatedSubnets', index, 'subnetId'],
      message: 'this subnet is named twice',
    })),
    ...(new Set(network.isolatedSubnets.map(({ availabilityZone }) => availabilityZone)).size < 2
      ? [
          {
            path: ['network', 'isolatedSubnets'],
            message: 'must span two Availability Zones at least, as a DB subnet group demands',
          },
        ]
      : []),
    ...network.isolatedSubnets.flatMap(({ availabilityZone }, index) =>
      /^eu-west-2[a-z]$/.test(availabilityZone)
        ? []
        : [
            {
              path: ['network', 'isolatedSubnets', index, 'availabilityZone'],
              message: 'must be one of eu-west-2, e.g. eu-west-2a',
            },
          ],
    ),
  ];
}

function duplicates(values: readonly string[]): number[] {
  return values.flatMap((value, index) => (values.indexOf(value) < index ? [index] : []));
}
