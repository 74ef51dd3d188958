import { TenantId } from '../contracts/identifiers.ts';

const PLACEHOLDER = '{tenant}';

/** Where a tenant's keys begin: `schools/{tenant}/` and `oakfield` give `schools/oakfield/`. */
export function tenantPrefix(template: string, tenant: string): string {
  return parentOfTenants(template) + tenant + template.slice(template.indexOf(PLACEHOLDER) + PLACEHOLDER.length);
}

/** What all tenants' prefixes begin with: `schools/`, or nothing. */
export function parentOfTenants(template: string): string {
  return template.slice(0, template.indexOf(PLACEHOLDER));
}

/** The tenant whose prefix this is; undefined for a prefix that is no tenant's, also where its name is not a valid id. */
export function tenantOfPrefix(template: string, prefix: string): string | undefined {
  const parent = parentOfTenants(template);
  if (!prefix.startsWith(parent)) return undefined;
  const candidate = prefix.slice(parent.length, -1);
  return prefix.endsWith('/') && TenantId.safeParse(candidate).success ? candidate : undefined;
}
