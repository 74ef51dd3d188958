import { malformedXml } from './errors.ts';

/** An element to be written: its name and its text or children; absent children are left out. */
export type XmlNode = readonly [name: string, content: string | number | boolean | XmlChildren];
type XmlChildren = readonly (XmlNode | undefined)[];

/** An element as it was read, without attributes and name-space prefixes. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const MAXIMUM_DEPTH = 20;

/** Writes a document; S3's answers carry its name space, its errors none. */
export function writeXml([name, content]: XmlNode, namespace = true): string {
  const attribute = namespace ? ` xmlns="${NAMESPACE}"` : '';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${attribute}>${writeContent(content)}</${name}>`;
}

function writeContent(content: XmlNode[1]): string {
  if (typeof content !== 'object') return escapeText(String(content));
  return content.map(node => (node === undefined ? '' : `<${node[0]}>${writeContent(node[1])}</${node[0]}>`)).join('');
}

// Control characters are legal in keys and in no XML 1.0 document; S3 writes them as references all the same.
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys may hold them
const SPECIAL = /[&<>"\u0000-\u0008\u000b-\u001f]|[\ufffe\uffff]/g;

function escapeText(text: string): string {
  return text.replace(SPECIAL, character => {
    const named = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }[character];
    return named ?? `&#x${character.charCodeAt(0).toString(16)};`;
  });
}

/**
 * Reads a request's document: elements and text only. A document type, processing instruction or CDATA section is refused.
 * @throws S3Error `MalformedXML`
 */
export function readXml(document: string): XmlElement {
  const tokens = /<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/gy;
  tokens.lastIndex = /^(?:\ufeff)?(?:<\?xml[^>]*\?>)?\s*/.exec(document)?.[0].length ?? 0;
  const open: { name: string; children: XmlElement[]; text: string }[] = [];
  let root: XmlElement | undefined;
  while (tokens.lastIndex < document.length) {
    const token = tokens.exec(document);
    if (token === null) throw malformedXml();
    const [, closing, prefixedName, , selfClosing, text] = token;
    const parent = open.at(-1);
    if (text !== undefined) {
      if (parent !== undefined) parent.text += unescapeText(text);
      else if (text.trim() !== '') throw malformedXml();
      continue;
    }
    const name = prefixedName?.replace(/^.*:/, '') ?? '';
    if (closing === '/') {
      const element = open.pop();
      if (element?.name !== name || selfClosing === '/') throw malformedXml();
      if (open.length === 0) root = element;
      continue;
    }
    if (root !== undefined || open.length === MAXIMUM_DEPTH) throw malformedXml();
    const element = { name, children: [], text: '' };
    parent?.children.push(element);
    if (selfClosing !== '/') open.push(element);
    else if (parent === undefined) root = element;
  }
  if (root === undefined || open.length > 0) throw malformedXml();
  return root;
}

function unescapeText(text: string): string {
  return text.replace(/&([^;]{0,10});?/g, (reference, name: string) => {
    const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name];
    if (named !== undefined && reference.endsWith(';')) return named;
    const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    const point =
      number === null ? Number.NaN : Number.parseInt(number[1] ?? number[2] ?? '', number[1] === undefined ? 10 : 16);
    if (!reference.endsWith(';') || !(point <= 0x10ffff)) throw malformedXml();
    return String.fromCodePoint(point);
  });
}

/**
 * The texts of an element's children by name. Each may stand once.
 * @throws S3Error `MalformedXML` for a child that is not among `allowed` or stands twice.
 */
export function readFields(element: XmlElement, allowed: readonly string[]): Partial<Record<string, string>> {
  const fields: Partial<Record<string, string>> = {};
  for (const child of element.children) {
    if (!allowed.includes(child.name) || child.name in fields) throw malformedXml();
    fields[child.name] = child.text;
  }
  return fields;
}

/** The only child of that name; undefined where there is none. @throws S3Error `MalformedXML` where there are more. */
export function onlyChild(element: XmlElement, name: string): XmlElement | undefined {
  const found = element.children.filter(child => child.name === name);
  if (found.length > 1) throw malformedXml();
  return found[0];
}
