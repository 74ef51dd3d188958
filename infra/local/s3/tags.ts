import { malformedXml, S3Error } from './errors.ts';
import { readFields, type XmlElement, type XmlNode } from './xml.ts';

/** Tags by name. */
export type Tags = Readonly<Record<string, string>>;

/** Reads `x-amz-tagging`: `name=value&name=value`, percent-encoded. @throws S3Error `InvalidTag`, `InvalidArgument` */
export function readTagHeader(value: string): Tags {
  const pairs = value === '' ? [] : value.split('&').map(pair => pair.split('='));
  return checkTags(
    pairs.map(([name, tagValue = '', ...rest]) => {
      if (name === undefined || name === '' || rest.length > 0) throw badTagHeader(value);
      try {
        const [decodedName = '', decodedValue = ''] = [name, tagValue].map(text =>
          decodeURIComponent(text.replaceAll('+', ' ')),
        );
        return [decodedName, decodedValue];
      } catch {
        throw badTagHeader(value);
      }
    }),
  );
}

function badTagHeader(value: string): S3Error {
  return new S3Error(
    400,
    'InvalidArgument',
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    { details: { ArgumentName: 'x-amz-tagging', ArgumentValue: value } },
  );
}

/** Reads a `Tagging` document. */
export function readTagDocument(document: XmlElement): Tags {
  const [set, ...others] = document.children;
  if (set?.name !== 'TagSet' || others.length > 0) throw malformedXml();
  return readTagList(set.children);
}

/** Reads `Tag` elements. */
export function readTagList(elements: readonly XmlElement[]): Tags {
  return checkTags(
    elements.map(tag => {
      const { Key, Value } = readFields(tag, ['Key', 'Value']);
      if (tag.name !== 'Tag' || Key === undefined || Value === undefined) throw malformedXml();
      return [Key, Value];
    }),
  );
}

export function writeTagDocument(tags: Tags): XmlNode {
  const set = Object.entries(tags).map(
    ([name, value]): XmlNode => [
      'Tag',
      [
        ['Key', name],
        ['Value', value],
      ],
    ],
  );
  return ['Tagging', [['TagSet', set]]];
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
function checkTags(pairs: readonly (readonly [string, string])[]): Tags {
  const invalid = (message: string) => new S3Error(400, 'InvalidTag', message);
  if (pairs.length > 10) throw new S3Error(400, 'BadRequest', 'Object tags cannot be greater than 10');
  const tags: Record<string, string> = Object.create(null);
  for (const [name, value] of pairs) {
    if (name in tags) throw invalid('Cannot provide multiple Tags with the same key');
    if (name.startsWith('aws:')) throw invalid('System tags cannot be added/updated by requester');
    if (name === '' || [...name].length > 128 || !TAG_TEXT.test(name)) {
      throw invalid('The TagKey you have provided is invalid');
    }
    if ([...value].length > 256 || !TAG_TEXT.test(value)) throw invalid('The TagValue you have provided is invalid');
    tags[name] = value;
  }
  return { ...tags };
}

const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
