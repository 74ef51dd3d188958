import { isPlainId, type TenantId, type TenantName } from '../contracts/identifiers.ts';
import type { GivenTenantName, RootTenants, TenantFolders, TenantIdComparison } from '../contracts/tenant-names.ts';

/** A tenant of this run. */
export interface RecognizedTenant {
  /** null: none of its ids is its own name or was given one; one is to be drawn. */
  readonly name: TenantName | null;
  /** What databases compare as this tenant. */
  readonly ids: readonly KnownId[];
  /** What its folders are called in buckets, if they are there. */
  readonly folders: ReadonlySet<string>;
  readonly isInDatabase: boolean;
}

interface KnownId {
  readonly id: TenantId;
  readonly comparison: TenantIdComparison;
  readonly comparedAs: string;
  /** Whether it needs no name in the vault, or has one there. */
  readonly isNamed: boolean;
}

/** In this order: what one database tells apart stays apart, though another one does not. */
const COMPARISONS: readonly TenantIdComparison[] = ['exact', 'unknown', 'ignores-trailing-blanks', 'ignores-case'];

/**
 * Finds out which tenants there are, and whose each folder is.
 *
 * - What a database knows is a tenant, whatever its id looks like. Ids that a database compares as equal are one tenant;
 *   where several databases have the same text, it is one tenant's.
 * - A folder is that tenant's whose id it is, to the letter or as a database compares them.
 * - Another folder with a plain name is a tenant known by its objects alone. One with an odd name is nobody's: else every
 *   `_tmp` and `.well-known` would be a tenant, with a key. From when a database knows it, it is a tenant's, for good.
 * - Of the tenants that the previous recovery point does not have, `newTenantLimit` are let in, those of databases first:
 *   each gets a key, which costs money, and whoever may sign up or upload can make more of them. The others wait for the
 *   next run; meanwhile their folders are nobody else's.
 */
export function recognizeTenants(known: {
  databases: readonly RootTenants[];
  given: readonly GivenTenantName[];
  previousNames: ReadonlySet<TenantName>;
  /** The folders that stand where tenants' folders are, of all buckets. */
  folders: Iterable<string>;
  newTenantLimit: number;
}): {
  tenants: RecognizedTenant[];
  postponed: RecognizedTenant[];
  /** The tenant whose a listed folder is: undefined for nobody's, and for that of a tenant that waits. */
  ownerOf: (folder: string) => RecognizedTenant | undefined;
  /** How many folders are nobody's. */
  strangeFolderCount: number;
} {
  const register = new Register(known.previousNames);
  for (const given of known.given) register.addGiven(given);
  for (const comparison of COMPARISONS) {
    for (const database of known.databases) if (database.comparison === comparison) register.addDatabase(database);
  }
  const owners = new Map<string, Draft>();
  let strangeFolderCount = 0;
  for (const folder of [...new Set(known.folders)].sort()) {
    const owner = register.find(folder) ?? (isPlainId(folder) ? register.named(folder) : undefined);
    if (owner === undefined) strangeFolderCount++;
    else owners.set(folder, owner);
  }
  register.placeFolders(owners);

  const listed = new Set(owners.values());
  const isOld = ({ name }: Draft) => name !== null && known.previousNames.has(name);
  const present = register.tenants.filter(tenant => tenant.isInDatabase || isOld(tenant) || listed.has(tenant));
  const fresh = present.filter(tenant => !isOld(tenant));
  const waiting = new Set(
    [...fresh.filter(tenant => tenant.isInDatabase), ...fresh.filter(tenant => !tenant.isInDatabase)].slice(
      known.newTenantLimit,
    ),
  );
  return {
    tenants: present.filter(tenant => !waiting.has(tenant)),
    postponed: [...waiting],
    ownerOf: folder => {
      const owner = owners.get(folder);
      return owner === undefined || waiting.has(owner) ? undefined : owner;
    },
    strangeFolderCount,
  };
}

/** What has to be said of the folders of this run's tenants: nothing of those that are called as their tenant. */
export function describeFolders(
  tenants: readonly { name: TenantName; folders: ReadonlySet<string> }[],
  postponed: readonly Pick<RecognizedTenant, 'folders'>[],
): Omit<TenantFolders, 'salt'> {
  const byName = Map.groupBy(tenants, ({ name }) => name);
  return {
    tenants: [...byName].flatMap(([name, same]) => {
      const folders = [...new Set(same.flatMap(tenant => [...tenant.folders]))].sort();
      return folders.length === 1 && folders[0] === name ? [] : [{ name, folders }];
    }),
    // A plain folder is never nobody's.
    postponed: postponed.flatMap(({ folders }) => [...folders].filter(folder => !isPlainId(folder))),
  };
}

interface Draft extends RecognizedTenant {
  readonly ids: KnownId[];
  readonly folders: Set<string>;
  isInDatabase: boolean;
}

class Register {
  readonly tenants: Draft[] = [];
  readonly #byName = new Map<TenantName, Draft>();
  readonly #byComparison = new Map<string, Draft>();
  readonly #byId = new Map<TenantId, Draft>();

  constructor(previousNames: ReadonlySet<TenantName>) {
    for (const name of [...previousNames].sort()) this.named(name);
  }

  /** The tenant of this name, known or not. */
  named(name: TenantName): Draft {
    let tenant = this.#byName.get(name);
    if (tenant === undefined) {
      tenant = this.#add(name);
      this.#byName.set(name, tenant);
    }
    return tenant;
  }

  /** The tenant whose id a text is. */
  find(text: string): Draft | undefined {
    for (const comparison of COMPARISONS) {
      const tenant = this.#byComparison.get(keyOf(comparison, compareAs(comparison, text)));
      if (tenant !== undefined) return tenant;
    }
    return this.#byId.get(text);
  }

  addGiven({ name, ...id }: GivenTenantName): void {
    this.#learn(this.named(name), { ...id, isNamed: true });
  }

  addDatabase({ comparison, tenants }: RootTenants): void {
    const alike = folds(comparison) ? this.#groupBy(comparison) : new Map<string, Set<Draft>>();
    for (const { id, comparedAs } of tenants) {
      let tenant = this.#byComparison.get(keyOf(comparison, comparedAs));
      if (tenant === undefined) {
        const isOwnName = isPlainId(id) && comparedAs === id && !folds(comparison);
        tenant = isOwnName ? this.named(id) : this.#tenantOf(comparison, id, alike.get(comparedAs));
        this.#learn(tenant, { id, comparison, comparedAs, isNamed: isOwnName });
      } else if (!this.#byId.has(id)) {
        this.#byId.set(id, tenant);
      }
      tenant.isInDatabase = true;
    }
  }

  /** Gives each tenant its folders: those that were listed, and those that its ids may have. */
  placeFolders(owners: ReadonlyMap<string, Draft>): void {
    for (const [folder, tenant] of owners) tenant.folders.add(folder);
    for (const [text, tenant] of this.#texts()) {
      // With a slash in it, an id names a folder in a folder, which is another tenant's.
      if (!text.includes('/') && (this.find(text) ?? tenant) === tenant) tenant.folders.add(text);
    }
  }

  /**
   * The tenant for an id that is not its own name, or that other texts may stand for: what is known by the same text, or
   * else the one that is alike, if there is one alone.
   */
  #tenantOf(comparison: TenantIdComparison, id: TenantId, alike: Iterable<Draft> = []): Draft {
    const isFree = (tenant: Draft) => !tenant.ids.some(other => other.comparison === comparison);
    const plain = isPlainId(id) ? this.#byName.get(id) : undefined;
    const same = [this.#byId.get(id), plain].find(tenant => tenant !== undefined && isFree(tenant));
    if (same !== undefined) return same;
    const [only, ...others] = [...alike].filter(isFree);
    if (only !== undefined && others.length === 0) return only;
    return isPlainId(id) && plain === undefined ? this.named(id) : this.#add(null);
  }

  /** What is known so far, by what a database compares it as. */
  #groupBy(comparison: TenantIdComparison): Map<string, Set<Draft>> {
    const groups = new Map<string, Set<Draft>>();
    for (const [text, tenant] of this.#texts()) {
      const comparedAs = compareAs(comparison, text);
      groups.set(comparedAs, (groups.get(comparedAs) ?? new Set()).add(tenant));
    }
    return groups;
  }

  /** Every text that means a tenant: ids, and names that may be ids. */
  #texts(): (readonly [string, Draft])[] {
    return [...this.#byId, ...[...this.#byName].filter(([name]) => isPlainId(name))];
  }

  #add(name: TenantName | null): Draft {
    const tenant = { name, ids: [], folders: new Set<string>(), isInDatabase: false };
    this.tenants.push(tenant);
    return tenant;
  }

  #learn(tenant: Draft, { id, comparison, comparedAs, isNamed }: KnownId): void {
    tenant.ids.push({ id, comparison, comparedAs, isNamed });
    this.#byComparison.set(keyOf(comparison, comparedAs), tenant);
    if (!this.#byId.has(id)) this.#byId.set(id, tenant);
  }
}

function keyOf(comparison: TenantIdComparison, comparedAs: string): string {
  return `${comparison} ${comparedAs}`;
}

function folds(comparison: TenantIdComparison): boolean {
  return comparison === 'ignores-trailing-blanks' || comparison === 'ignores-case';
}

/**
 * What a database compares a text as. Of letters only ASCII ones are folded here: what becomes of others hangs on the
 * database's locale. So texts that come out the same are the same to the database; some that are the same to it do not, and
 * their folders are nobody's.
 */
function compareAs(comparison: TenantIdComparison, text: string): string {
  if (comparison === 'ignores-trailing-blanks') return text.replace(/ +$/, '');
  if (comparison === 'ignores-case') return text.replace(/[A-Z]+/g, letters => letters.toLowerCase());
  return text;
}
