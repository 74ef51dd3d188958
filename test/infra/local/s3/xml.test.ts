import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFields, readXml, writeXml } from '../../../../infra/local/s3/xml.ts';

describe('readXml', () => {
  it('gives back any text that was written', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter(text => text.isWellFormed()),
        text => {
          const document = readXml(writeXml(['Delete', [['Key', text]]]));
          expect(document.children).toEqual([{ name: 'Key', children: [], text }]);
        },
      ),
    );
  });

  it('reads prefixes, attributes, empty elements and references', () => {
    const document = readXml(
      `<?xml version="1.0"?>\n<s3:Tag xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" a='1'><s3:Key>&lt;&#x41;&#66;&apos;</s3:Key><Value/></s3:Tag>\n`,
    );
    expect(document.name).toBe('Tag');
    expect(document.children).toEqual([
      { name: 'Key', children: [], text: "<AB'" },
      { name: 'Value', children: [], text: '' },
    ]);
  });

  it.each([
    '',
    'text',
    '<a>',
    '<a></b>',
    '<a/><b/>',
    '<a>&unknown;</a>',
    '<a>&#x110000;</a>',
    '<a>& b</a>',
    '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    '<a><![CDATA[x]]></a>',
    '<a><?php ?></a>',
    '<a><!-- x --></a>',
    '<a b=c></a>',
    `${'<a>'.repeat(21)}${'</a>'.repeat(21)}`,
    '<a></a></a>',
    '</a>',
  ])('refuses %j', document => {
    expect(() => readXml(document)).toThrow('not well-formed');
  });
});

describe('readFields', () => {
  it('refuses what is not allowed, and what stands twice', () => {
    const element = readXml('<Part><ETag>e</ETag><PartNumber>1</PartNumber></Part>');
    expect(readFields(element, ['ETag', 'PartNumber'])).toEqual({ ETag: 'e', PartNumber: '1' });
    expect(() => readFields(element, ['ETag'])).toThrow('not well-formed');
    expect(() => readFields(readXml('<a><b/><b/></a>'), ['b'])).toThrow('not well-formed');
  });
});
