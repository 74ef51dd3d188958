import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { errorResponse } from '../endpoint/error-response.ts';
import {
  AccessDenied,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import type { LocalIam } from './authorizer.ts';

type Form = Readonly<Record<string, string>>;
interface Operation {
  readonly parameters: readonly string[];
  /** @returns the members of its result. @throws AccessDenied, NoSuchEntityError */
  run(form: Form, principal: Principal): Form;
}

/** IAM's own: what is named is not there. */
class NoSuchEntityError extends Error {
  override readonly name = 'NoSuchEntity';
}

/**
 * The APIs of IAM and STS: who asks, and a role's inline policies, with which somebody is locked out.
 * https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
 */
export class LocalIdentity implements Service {
  readonly #iam: LocalIam;
  readonly #accountId: string;
  /** What was put through this API, by role and name. */
  readonly #inline = new Map<string, unknown>();

  constructor(options: { iam: LocalIam; accountId: string }) {
    this.#iam = options.iam;
    this.#accountId = options.accountId;
  }

  async handle(request: AwsRequest): Promise<AwsResponse> {
    const { body, service, principal, headers } = request;
    const sent = body instanceof Readable ? await text(body) : Buffer.from(body ?? []).toString();
    const { Action = '', Version: _version, ...form } = Object.fromEntries(new URLSearchParams(sent));
    try {
      const operations = service === 'sts' ? this.#ofSts : this.#ofIam;
      const operation = Object.hasOwn(operations, Action) ? operations[Action] : undefined;
      if (operation === undefined) throw new NotImplementedLocally(`${service}:${Action}`);
      const unknown = Object.keys(form).find(name => !operation.parameters.includes(name));
      if (unknown !== undefined) throw new NotImplementedLocally(`${service}:${Action} with the parameter ${unknown}`);
      return answer(Action, operation.run(form, principal));
    } catch (error) {
      const refuse = (status: number, code: string, { message }: Error) =>
        errorResponse(service, headers['content-type'], { status, code, message });
      if (error instanceof AccessDenied) return refuse(403, 'AccessDenied', error);
      if (error instanceof NoSuchEntityError) return refuse(404, error.name, error);
      if (error instanceof NotImplementedLocally) return refuse(400, error.name, error);
      throw error;
    }
  }

  // It needs no permission.
  readonly #ofSts: Readonly<Record<string, Operation>> = {
    GetCallerIdentity: {
      parameters: [],
      run: (_form, { kind, arn }) => {
        const name = arn.slice(arn.lastIndexOf('/') + 1);
        return kind === 'root'
          ? { Arn: arn, UserId: this.#accountId, Account: this.#accountId }
          : {
              Arn: `arn:aws:sts::${this.#accountId}:assumed-role/${name}/local`,
              UserId: `AROALOCAL:${name}`,
              Account: this.#accountId,
            };
      },
    },
  };

  readonly #ofIam: Readonly<Record<string, Operation>> = {
    PutRolePolicy: {
      parameters: ['RoleName', 'PolicyName', 'PolicyDocument'],
      run: (form, principal) => {
        const { PolicyName = '', PolicyDocument = '' } = form;
        const role = this.#role(form, 'iam:PutRolePolicy', principal);
        const standing = this.#inline.get(`${role.arn} ${PolicyName}`);
        const document: unknown = JSON.parse(PolicyDocument);
        this.#iam.putRole({ ...role, policies: [...role.policies.filter(one => one !== standing), document] });
        this.#inline.set(`${role.arn} ${PolicyName}`, document);
        return {};
      },
    },
    DeleteRolePolicy: {
      parameters: ['RoleName', 'PolicyName'],
      run: (form, principal) => {
        const role = this.#role(form, 'iam:DeleteRolePolicy', principal);
        const name = `${role.arn} ${form.PolicyName}`;
        const standing = this.#inline.get(name);
        if (standing === undefined) {
          throw new NoSuchEntityError(`The role policy with name ${form.PolicyName} cannot be found.`);
        }
        this.#iam.putRole({ ...role, policies: role.policies.filter(one => one !== standing) });
        this.#inline.delete(name);
        return {};
      },
    },
  };

  #role({ RoleName }: Form, action: string, principal: Principal) {
    const arn = `arn:aws:iam::${this.#accountId}:role/${RoleName}`;
    this.#iam.authorize({ principal, action, resource: arn, context: {} });
    if (!this.#iam.hasRole(arn)) throw new NoSuchEntityError(`The role with name ${RoleName} cannot be found.`);
    return this.#iam.describeRole(arn);
  }
}

function answer(action: string, members: Form): AwsResponse {
  const result = Object.entries(members).map(([name, value]) => `<${name}>${value}</${name}>`);
  const requestId = randomUUID();
  const body = `<${action}Response><${action}Result>${result.join('')}</${action}Result><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
}
