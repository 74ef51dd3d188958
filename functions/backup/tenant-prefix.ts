const PLACEHOLDER = '{tenant}';

/** Where the keys in a tenant's folder begin: `schools/{tenant}/` and `oakfield` give `schools/oakfield/`. */
export function folderPrefix(template: string, folder: string): string {
  return parentOfTenants(template) + folder + template.slice(template.indexOf(PLACEHOLDER) + PLACEHOLDER.length);
}

/** What all tenants' prefixes begin with: `schools/`, or nothing. */
export function parentOfTenants(template: string): string {
  return template.slice(0, template.indexOf(PLACEHOLDER));
}

/** The folder whose prefix this is, called in any way; undefined for a prefix that lies elsewhere, or deeper. */
export function folderOfPrefix(template: string, prefix: string): string | undefined {
  const parent = parentOfTenants(template);
  if (!prefix.startsWith(parent) || !prefix.endsWith('/') || prefix.length === parent.length) return undefined;
  const folder = prefix.slice(parent.length, -1);
  return folder.includes('/') ? undefined : folder;
}
