import { NotImplementedLocally } from '../service.ts';

/** The value of a policy variable (`aws:PrincipalArn`) in the request; undefined where the request has none. */
export type VariableLookup = (name: string) => string | undefined;

/** Whether a text matches a pattern of a policy, for the variables of one request. */
export type PatternMatcher = (text: string, lookUp: VariableLookup) => boolean;

const ANY_CHARACTERS = -1;
const ONE_CHARACTER = -2;

/** A pattern's UTF-16 units, with the two wildcards as negative numbers and variables still to be filled in. */
type Part = readonly number[] | { readonly variable: string };

/**
 * Whether `text` matches `pattern`, in which `*` stands for any characters, also none, and `?` for exactly one.
 * Time grows with the product of both lengths at worst: a policy cannot stall the local cloud.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  return matchesUnits(unitsOf(pattern, true), text);
}

/**
 * Prepares a pattern of a policy. `*` and `?` are wildcards where `wildcards` says so, `${*}`, `${?}` and `${$}` are the
 * characters themselves, and `${aws:…}` is a variable, whose value is taken literally. A pattern whose variable the
 * request does not have matches nothing.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 * @throws NotImplementedLocally naming a variable that the local cloud does not fill in.
 */
export function compilePattern(pattern: string, options: { wildcards: boolean; variables: boolean }): PatternMatcher {
  const parts = options.variables ? partsOf(pattern, options.wildcards) : [unitsOf(pattern, options.wildcards)];
  if (parts.some(part => 'variable' in part)) {
    return (text, lookUp) => {
      const units: number[] = [];
      for (const part of parts) {
        if (!('variable' in part)) units.push(...part);
        else {
          const value = lookUp(part.variable);
          if (value === undefined) return false;
          units.push(...unitsOf(value, false));
        }
      }
      return matchesUnits(units, text);
    };
  }
  const units = parts.flatMap(part => ('variable' in part ? [] : part));
  const firstWildcard = units.findIndex(unit => unit < 0);
  if (firstWildcard < 0) {
    const literal = String.fromCharCode(...units);
    return text => text === literal;
  }
  if (firstWildcard === units.length - 1 && units[firstWildcard] === ANY_CHARACTERS) {
    const prefix = String.fromCharCode(...units.slice(0, -1));
    return text => text.startsWith(prefix);
  }
  return text => matchesUnits(units, text);
}

function unitsOf(text: string, wildcards: boolean): number[] {
  return Array.from({ length: text.length }, (_, index) => {
    if (wildcards && text[index] === '*') return ANY_CHARACTERS;
    if (wildcards && text[index] === '?') return ONE_CHARACTER;
    return text.charCodeAt(index);
  });
}

function partsOf(pattern: string, wildcards: boolean): Part[] {
  return pattern.split(/(\$\{[^}]*\})/).map(part => {
    const name = /^\$\{([^}]*)\}$/.exec(part)?.[1];
    if (name === undefined) return unitsOf(part, wildcards);
    if (name === '*' || name === '?' || name === '$') return unitsOf(name, false);
    if (!/^aws:(?:PrincipalArn|PrincipalAccount|ResourceTag\/[^',]+)$/i.test(name)) {
      throw new NotImplementedLocally(`the policy variable \${${name}}`);
    }
    return { variable: name };
  });
}

// On a mismatch it is enough to return to the last `*` and let it take one character more.
function matchesUnits(units: readonly number[], text: string): boolean {
  let at = 0;
  let star = -1;
  let afterStar = 0;
  for (let index = 0; index < text.length; ) {
    const unit = units[at];
    if (unit === ANY_CHARACTERS) {
      star = at++;
      afterStar = index;
    } else if (unit === ONE_CHARACTER || unit === text.charCodeAt(index)) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++afterStar;
    } else return false;
  }
  while (units[at] === ANY_CHARACTERS) at++;
  return at === units.length;
}
