import { randomBytes } from 'node:crypto';
import type { Principal } from '../service.ts';

/** An access key that the local cloud issued. */
export interface IssuedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The access keys of a local cloud: one for each principal and place, good for as long as the process lives. */
export class CredentialStore {
  readonly #byPrincipal = new Map<string, IssuedCredentials>();
  readonly #byId = new Map<string, IssuedCredentials & { readonly principal: Principal }>();

  /** The principal's access key, made at first use. */
  issue(principal: Principal): IssuedCredentials {
    const place = `${principal.arn} ${principal.insideVpc === true}`;
    let credentials = this.#byPrincipal.get(place);
    if (credentials === undefined) {
      const accessKeyId = `AKIA${[...randomBytes(16)].map(byte => ALPHABET[byte % ALPHABET.length]).join('')}`;
      credentials = { accessKeyId, secretAccessKey: randomBytes(30).toString('base64') };
      this.#byPrincipal.set(place, credentials);
      this.#byId.set(accessKeyId, { ...credentials, principal });
    }
    return credentials;
  }

  /** Whose access key this is; undefined for one that was not issued here. */
  find(accessKeyId: string): (IssuedCredentials & { readonly principal: Principal }) | undefined {
    return this.#byId.get(accessKeyId);
  }
}
