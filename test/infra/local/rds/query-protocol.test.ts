import { describe, expect, it } from 'vitest';
import { answerXml, faultXml, Parameters, RdsFault } from '../../../../infra/local/rds/query-protocol.ts';
import { NotImplementedLocally } from '../../../../infra/local/service.ts';

const read = (form: string) => new Parameters(new URLSearchParams(form));

describe('Parameters', () => {
  it('reads values, lists and tags, as the SDK and as other clients write them', () => {
    const parameters = read(
      'Action=X&Version=2014-10-31&Name=a%20b&Flag=true&Count=7&Ids.VpcSecurityGroupId.2=sg-2&Ids.VpcSecurityGroupId.1=sg-1' +
        '&Keys.1=k&None=&Tags.Tag.1.Key=a&Tags.Tag.1.Value=b%26c&Tags.Tag.2.Key=empty' +
        '&Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=postgres&Filters.Filter.1.Values.Value.2=mysql',
    );
    expect(parameters.action).toBe('X');
    expect(parameters.text('Name')).toBe('a b');
    expect(parameters.boolean('Flag')).toBe(true);
    expect(parameters.integer('Count', { min: 0, max: 7 })).toBe(7);
    expect(parameters.texts('Ids')).toEqual(['sg-1', 'sg-2']);
    expect(parameters.texts('Keys')).toEqual(['k']);
    expect(parameters.texts('None')).toEqual([]);
    expect(parameters.texts('Absent')).toBeUndefined();
    expect(parameters.tags('Tags')).toEqual({ a: 'b&c', empty: '' });
    expect(parameters.filters('Filters')).toEqual([{ name: 'engine', values: ['postgres', 'mysql'] }]);
    expect(() => parameters.refuseUnread()).not.toThrow();
  });

  it('names every parameter that was not read', () => {
    const parameters = read('Action=CreateDBInstance&Version=1&A=1&Port=5432&Tags.Tag.1.Key=a');
    parameters.text('A');
    expect(() => parameters.refuseUnread()).toThrow(
      new NotImplementedLocally('rds:CreateDBInstance with the parameter Port, Tags'),
    );
  });

  it('is not led astray by names of the language', () => {
    const parameters = read('Action=X&__proto__.polluted=1&constructor=2');
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(parameters.text('constructor')).toBe('2');
    expect(parameters.text('toString')).toBeUndefined();
  });

  it.each<[string, (parameters: Parameters) => unknown, string]>([
    ['Flag=yes', parameters => parameters.boolean('Flag'), 'MalformedInput'],
    ['Count=8', parameters => parameters.integer('Count', { min: 0, max: 7 }), 'InvalidParameterValue'],
    ['Count=0x1', parameters => parameters.integer('Count', { min: 0, max: 7 }), 'InvalidParameterValue'],
    ['Name=', parameters => parameters.requiredText('Name'), 'MissingParameter'],
    ['Name.1=a', parameters => parameters.text('Name'), 'MalformedInput'],
    ['Tags.Tag.1.Key=aws:x', parameters => parameters.tags('Tags'), 'InvalidParameterValue'],
    ['Tags.Tag.1.Value=x', parameters => parameters.tags('Tags'), 'InvalidParameterValue'],
  ])('refuses %s', (form, readIt, code) => {
    expect(() => readIt(read(`Action=X&${form}`))).toThrow(expect.objectContaining({ name: 'RdsFault', code }));
  });
});

describe('answers', () => {
  it('are XML with every text escaped', () => {
    const { body, status } = answerXml('DescribeX', {
      DBInstances: [{ Name: `<a> & "b"\u0000`, Gone: undefined, At: new Date(0), Flag: false, TagList: [] }],
      Marker: undefined,
    });
    expect(status).toBe(200);
    expect(String(body)).toContain(
      '<DescribeXResult><DBInstances><DBInstance><Name>&lt;a&gt; &amp; "b"\uFFFD</Name><At>1970-01-01T00:00:00.000Z</At><Flag>false</Flag><TagList></TagList></DBInstance></DBInstances></DescribeXResult>',
    );
    expect(String(faultXml(new RdsFault('Code', '<m>', 404)).body)).toContain(
      '<Error><Type>Sender</Type><Code>Code</Code><Message>&lt;m&gt;</Message></Error>',
    );
  });
});
