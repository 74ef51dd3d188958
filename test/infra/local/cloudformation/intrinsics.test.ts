import { describe, expect, it } from 'vitest';
import {
  findReferences,
  type ReferenceScope,
  resolveIntrinsics,
  TemplateError,
} from '../../../../infra/local/cloudformation/intrinsics.ts';

const scope: ReferenceScope = {
  ref: name => {
    const values: Record<string, unknown> = { Bucket: 'a-bucket', Zones: ['a', 'b'], 'AWS::NoValue': undefined };
    if (!(name in values)) throw new TemplateError(`no ${name}`);
    return values[name];
  },
  attribute: (resource, attribute) => `${resource}/${attribute}`,
  exported: name => `export ${name}`,
  stackOutput: (stack, output) => `${stack}.${output}`,
};
const resolve = (value: unknown) => resolveIntrinsics(value, scope, 'here');

describe('resolving intrinsic functions', () => {
  it.each<[unknown, unknown]>([
    [{ Ref: 'Bucket' }, 'a-bucket'],
    [{ 'Fn::GetAtt': ['Key', 'Arn'] }, 'Key/Arn'],
    [{ 'Fn::GetAtt': 'Stack.Outputs.Name' }, 'Stack/Outputs.Name'],
    [{ 'Fn::Join': ['-', ['a', { Ref: 'Bucket' }, 1, true]] }, 'a-a-bucket-1-true'],
    [{ 'Fn::Join': [',', { Ref: 'Zones' }] }, 'a,b'],
    [{ 'Fn::Select': [1, { 'Fn::Split': [':', 'x:y:z'] }] }, 'y'],
    [{ 'Fn::Select': ['0', [{ Ref: 'Bucket' }]] }, 'a-bucket'],
    [{ 'Fn::Sub': '${Bucket} of ${Key.Arn}, ${!Literal}' }, 'a-bucket of Key/Arn, ${Literal}'],
    [{ 'Fn::Sub': ['${Own}-${Bucket}', { Own: { 'Fn::GetAtt': ['Key', 'Id'] } }] }, 'Key/Id-a-bucket'],
    [{ 'Fn::ImportValue': { 'Fn::Sub': 'Vault:${Bucket}' } }, 'export Vault:a-bucket'],
    [{ 'Fn::GetStackOutput': { StackName: 'Vault', OutputName: 'Key' } }, 'Vault.Key'],
    [{ a: [{ Ref: 'Bucket' }, { b: { Ref: 'AWS::NoValue' }, c: null }] }, { a: ['a-bucket', { c: null }] }],
    [
      { Ref: 'Bucket', and: 'more' },
      { Ref: 'Bucket', and: 'more' },
    ],
  ])('%j', (value, resolved) => {
    expect(resolve(value)).toEqual(resolved);
  });

  it.each<[unknown, string]>([
    [{ 'Fn::If': ['a', 1, 2] }, 'the local cloud does not implement the intrinsic function Fn::If (here)'],
    [
      { a: [{ 'Fn::Cidr': ['10.0.0.0/16', 2] }] },
      'the local cloud does not implement the intrinsic function Fn::Cidr (here.a[0])',
    ],
    [
      { 'Fn::GetStackOutput': { StackName: 'a', OutputName: 'b', Region: 'c' } },
      'the local cloud does not implement Region of Fn::GetStackOutput (here)',
    ],
    [{ 'Fn::Join': ['-', [{ a: 1 }]] }, 'here: Fn::Join wants text'],
    [{ 'Fn::Join': ['-'] }, 'here: Fn::Join wants a list of 2'],
    [{ 'Fn::Select': [5, ['a']] }, 'here: Fn::Select finds no item 5'],
    [{ Ref: 'Nothing' }, 'no Nothing'],
  ])('refuses %j', (value, message) => {
    expect(() => resolve(value)).toThrow(message);
  });

  it('finds what a part of a template refers to', () => {
    const references = findReferences({
      a: { Ref: 'One' },
      b: [{ 'Fn::GetAtt': ['Two', 'Arn'] }, { 'Fn::GetAtt': 'Three.Arn' }],
      c: { 'Fn::Sub': ['${Four}${!Five}${Six.Arn}', { Own: { Ref: 'Seven' } }] },
      d: { 'Fn::Join': ['', [{ Ref: 'Eight' }]] },
    });
    expect([...references].sort()).toEqual(['Eight', 'Four', 'One', 'Seven', 'Six', 'Three', 'Two']);
  });
});
