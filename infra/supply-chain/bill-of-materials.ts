import { z } from 'zod';
import { identityOf, type ShippedPackage } from './shipped-packages.ts';

const Component = z.looseObject({ 'bom-ref': z.string(), name: z.string(), version: z.string() });
const Dependency = z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).default([]) });

/** As much of a CycloneDX document as is read here. https://cyclonedx.org/docs/1.5/json/ */
export const BillOfMaterials = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  metadata: z.looseObject({ component: Component }),
  components: z.array(Component),
  dependencies: z.array(Dependency),
});
export type BillOfMaterials = z.infer<typeof BillOfMaterials>;

/** The bill does not name a package that is shipped. */
export class IncompleteBillError extends Error {
  override readonly name = 'IncompleteBillError';
}

/**
 * The part of a bill of everything installed that is shipped. npm's own way of leaving packages out is not used: it drops
 * what a tool depends on too.
 * @throws IncompleteBillError naming what is shipped and not in the bill.
 */
export function narrowBill(bill: BillOfMaterials, packages: readonly ShippedPackage[]): BillOfMaterials {
  const shipped = new Set(packages.map(identityOf));
  const components = bill.components.filter(component => shipped.has(identityOf(component)));
  const named = new Set(components.map(identityOf));
  const missing = [...shipped].filter(identity => !named.has(identity));
  if (missing.length > 0) {
    throw new IncompleteBillError(`npm's bill of materials does not name ${missing.join(', ')}; install with npm ci`);
  }
  const product = bill.metadata.component['bom-ref'];
  const refs = new Set([product, ...components.map(component => component['bom-ref'])]);
  return {
    ...bill,
    components,
    dependencies: bill.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(dependency => ({ ...dependency, dependsOn: dependency.dependsOn.filter(ref => refs.has(ref)) })),
  };
}
