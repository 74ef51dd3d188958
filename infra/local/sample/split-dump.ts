import { DumpCutOffError, DumpFormatError, DumpInput, readCopyData } from './dump-input.ts';

/**
 * A part of a dump: a statement, a COPY statement with its data, which must be read before the next part, or a line between
 * statements by which `pg_dump` says that a dump begins or is complete, or `pg_dumpall` that one of a cluster does.
 */
export type DumpPart =
  | { readonly kind: 'mark'; readonly mark: Mark }
  | { readonly kind: 'statement'; readonly sql: string; readonly line: number }
  | {
      readonly kind: 'copy';
      readonly sql: string;
      readonly line: number;
      readonly dataLine: number;
      readonly data: AsyncIterable<Buffer>;
    };

type Mark = 'begins' | 'complete' | 'cluster';

/** https://github.com/postgres/postgres/blob/REL_17_STABLE/src/bin/pg_dump/pg_backup_archiver.c and pg_dumpall.c */
const MARKS: Readonly<Record<string, Mark>> = {
  '-- PostgreSQL database dump': 'begins',
  '-- PostgreSQL database dump complete': 'complete',
  '-- PostgreSQL database cluster dump': 'cluster',
};

const NEWLINE = 0x0a;
const LONGEST_STATEMENT = 256 * 1024 * 1024;
/** More than any token that must be seen as a whole: a dollar quote's tag has 63 bytes at most. */
const LOOKAHEAD = 256;

/**
 * Splits a plain-SQL dump, as `pg_dump` writes it, into statements and COPY data, in bounded memory: one statement at a
 * time, and never a table's data. It knows strings, quoted names, dollar quotes, comments, parentheses and SQL-standard
 * function bodies as psql's own scanner does. Comments between statements, `\restrict` and `\unrestrict` are dropped.
 * @throws DumpFormatError with the line, never with content.
 */
export async function* splitDump(source: AsyncIterable<Uint8Array>): AsyncGenerator<DumpPart> {
  const input = new DumpInput(source);
  const scanner = new StatementScanner(input);
  for (;;) {
    const next = await skipBetweenStatements(input);
    if (next === 'end') return;
    if (next !== 'statement') {
      yield { kind: 'mark', mark: next };
      continue;
    }
    const { line } = input;
    const sql = await scanner.readStatement();
    const setting = /^SET\s+standard_conforming_strings\s*(?:=|TO)\s*'?(on|off)'?$/i.exec(sql);
    if (setting) scanner.backslashEscapes = setting[1]?.toLowerCase() === 'off';
    if (!/^COPY\s[\s\S]*\sFROM\s+stdin(?:\s+WITH\s[^;]*)?$/i.test(sql)) {
      yield { kind: 'statement', sql, line };
      continue;
    }
    if ((await input.takeLine()).trim() !== '') {
      throw new DumpFormatError(`line ${input.line - 1} goes on after a COPY statement, which pg_dump never writes`);
    }
    const dataLine = input.line;
    const data = readCopyData(input, line);
    yield { kind: 'copy', sql, line, dataLine, data };
    if (!(await data.next()).done) throw new Error('the data of a COPY were not read to their end');
  }
}

/** Takes blanks, comments and the commands that pg_dump writes, up to what comes next; a mark is taken, too. */
async function skipBetweenStatements(input: DumpInput): Promise<'statement' | 'end' | Mark> {
  for (;;) {
    const bytes = await input.atLeast(LOOKAHEAD);
    if (bytes.length === 0) return 'end';
    const blanks = /^[\s;]*/.exec(bytes.toString('latin1', 0, LOOKAHEAD))?.[0].length ?? 0;
    if (blanks > 0) {
      input.take(blanks);
    } else if (bytes.toString('latin1', 0, 2) === '--') {
      const mark = MARKS[(await input.takeLine()).trimEnd()];
      if (mark !== undefined) return mark;
    } else if (bytes.toString('latin1', 0, 2) === '/*') {
      await skipBlockComment(input);
    } else if (bytes[0] === 0x5c) {
      const name = /^\\[A-Za-z!?]*/.exec(bytes.toString('latin1', 0, LOOKAHEAD))?.[0] ?? '\\';
      if (name !== '\\restrict' && name !== '\\unrestrict') throw refuseCommand(name, input.line);
      await input.takeLine();
    } else {
      return 'statement';
    }
  }
}

async function skipBlockComment(input: DumpInput): Promise<void> {
  const { line } = input;
  for (let depth = 0; ; ) {
    const pair = (await input.atLeast(2)).toString('latin1', 0, 2);
    if (pair.length < 2) throw new DumpCutOffError(`inside the comment of line ${line}`);
    if (pair === '/*') depth++;
    else if (pair === '*/') depth--;
    input.take(pair === '/*' || pair === '*/' ? 2 : 1);
    if (depth === 0) return;
  }
}

function refuseCommand(name: string, line: number): DumpFormatError {
  const hint = /^\\c(?:onnect)?$/.test(name)
    ? 'dump one database, with pg_dump and without --create'
    : 'only what pg_dump itself writes can be loaded';
  return new DumpFormatError(`line ${line} holds the psql command ${name}: ${hint}`);
}

type Mode =
  | { readonly in: 'code' }
  | { readonly in: 'double-quotes' }
  | { readonly in: 'line-comment' }
  | { readonly in: 'string'; readonly backslashEscapes: boolean }
  | { readonly in: 'dollar-quotes'; readonly tag: string }
  | { readonly in: 'block-comment'; depth: number };

const CODE: Mode = { in: 'code' };
/** The statements that may have a body between BEGIN ATOMIC and END. */
const HAS_BODY = /^create (?:or replace )?(?:function|procedure)\b/;

/** Reads one statement, like https://github.com/postgres/postgres/blob/REL_17_STABLE/src/fe_utils/psqlscan.l */
class StatementScanner {
  /** Set while `standard_conforming_strings` is off. */
  backslashEscapes = false;
  readonly #input: DumpInput;
  #mode: Mode = CODE;
  #parentheses = 0;
  /** The first words of the statement, which tell CREATE FUNCTION and CREATE PROCEDURE. */
  #firstWords: string[] = [];
  /** The word just before, if nothing but blanks came since. */
  #wordBefore = '';
  #begins = 0;

  constructor(input: DumpInput) {
    this.#input = input;
  }

  async readStatement(): Promise<string> {
    this.#mode = CODE;
    this.#parentheses = 0;
    this.#firstWords = [];
    this.#wordBefore = '';
    this.#begins = 0;
    const { line } = this.#input;
    const parts: Buffer[] = [];
    let length = 0;
    for (;;) {
      const bytes = await this.#input.atLeast(LOOKAHEAD);
      if (bytes.length === 0) {
        throw new DumpCutOffError(`inside the statement of line ${line}`);
      }
      // A token that begins before `end` lies whole in `bytes`.
      const end = this.#input.ended ? bytes.length : bytes.length - LOOKAHEAD + 1;
      const { at, complete } = this.#scan(bytes, end);
      parts.push(this.#input.take(at));
      length += at;
      if (length > LONGEST_STATEMENT) {
        throw new DumpFormatError(`the statement of line ${line} is longer than ${LONGEST_STATEMENT} bytes`);
      }
      if (!complete) continue;
      this.#input.take(1);
      return decode(Buffer.concat(parts), line);
    }
  }

  /** Reads up to `end`, or to the semicolon that completes the statement. */
  #scan(bytes: Buffer, end: number): { at: number; complete: boolean } {
    let at = 0;
    while (at < end) {
      if (this.#mode.in !== 'code') at = this.#leave(this.#mode, bytes, at, end);
      else if (bytes[at] === 0x3b && this.#parentheses === 0 && this.#begins === 0) return { at, complete: true };
      else at = this.#enter(bytes, at);
    }
    return { at, complete: false };
  }

  /** Reads one token of plain code, which may begin something else. */
  #enter(bytes: Buffer, at: number): number {
    const byte = bytes[at] ?? 0;
    if (isWordStart(byte)) return this.#readWord(bytes, at);
    if (byte > 0x20) this.#wordBefore = '';
    switch (String.fromCharCode(byte)) {
      case "'":
        this.#mode = { in: 'string', backslashEscapes: this.backslashEscapes };
        return at + 1;
      case '"':
        this.#mode = { in: 'double-quotes' };
        return at + 1;
      case '(':
        this.#parentheses++;
        return at + 1;
      case ')':
        this.#parentheses = Math.max(0, this.#parentheses - 1);
        return at + 1;
      case '-':
        if (bytes[at + 1] !== 0x2d) return at + 1;
        this.#mode = { in: 'line-comment' };
        return at + 2;
      case '/':
        if (bytes[at + 1] !== 0x2a) return at + 1;
        this.#mode = { in: 'block-comment', depth: 1 };
        return at + 2;
      case '$': {
        const text = bytes.toString('latin1', at, at + LOOKAHEAD);
        const tag = /^\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$/.exec(text)?.[0];
        if (tag === undefined) return at + 1;
        this.#mode = { in: 'dollar-quotes', tag };
        return at + tag.length;
      }
      case '\\': {
        const name = /^\\[A-Za-z!?]*/.exec(bytes.toString('latin1', at, at + LOOKAHEAD))?.[0] ?? '\\';
        const newlines = bytes.subarray(0, at).filter(other => other === NEWLINE).length;
        throw refuseCommand(name, this.#input.line + newlines);
      }
      default:
        return at + 1;
    }
  }

  #readWord(bytes: Buffer, at: number): number {
    let end = at + 1;
    while (end < bytes.length && isWordPart(bytes[end] ?? 0)) end++;
    const word = end - at > 9 ? '' : bytes.toString('latin1', at, end).toLowerCase();
    if (word === 'e' && bytes[end] === 0x27) {
      this.#mode = { in: 'string', backslashEscapes: true };
      return end + 1;
    }
    if (this.#firstWords.length < 4) this.#firstWords.push(word);
    if (this.#parentheses === 0 && HAS_BODY.test(this.#firstWords.join(' '))) {
      // Stricter than psql, for which any BEGIN there opens a block: it may be a name, which pg_dump does not quote.
      if (word === 'atomic' && this.#wordBefore === 'begin' && this.#begins === 0) this.#begins = 1;
      else if (word === 'case' && this.#begins > 0) this.#begins++;
      else if (word === 'end' && this.#begins > 0) this.#begins--;
    }
    this.#wordBefore = word;
    return end;
  }

  /** Reads on inside quotes or a comment, to behind their end if it begins before `end`. */
  #leave(mode: Exclude<Mode, { in: 'code' }>, bytes: Buffer, from: number, end: number): number {
    if (mode.in === 'block-comment') {
      for (let at = from; at < end; ) {
        const pair = bytes.toString('latin1', at, at + 2);
        if (pair === '/*') mode.depth++;
        if (pair === '*/') mode.depth--;
        at += pair === '/*' || pair === '*/' ? 2 : 1;
        if (mode.depth === 0) return this.#back(at);
        if (at >= end) return at;
      }
      return end;
    }
    if (mode.in === 'string' && mode.backslashEscapes) {
      let at = from;
      while (at < end) {
        const doubled = bytes[at] === 0x27 && bytes[at + 1] === 0x27;
        if (bytes[at] === 0x5c || doubled) at += 2;
        else if (bytes[at++] === 0x27) return this.#back(at);
      }
      return Math.min(at, bytes.length);
    }
    // In the other quotes a doubled quote leaves and enters again, which comes to the same.
    const mark =
      mode.in === 'line-comment' ? '\n' : mode.in === 'double-quotes' ? '"' : mode.in === 'string' ? "'" : mode.tag;
    const found = bytes.indexOf(mark, from, 'latin1');
    return found === -1 || found >= end ? end : this.#back(found + mark.length);
  }

  #back(at: number): number {
    this.#mode = CODE;
    return at;
  }
}

function decode(bytes: Buffer, line: number): string {
  // To the server it would be the end of the statement.
  if (bytes.includes(0))
    throw new DumpFormatError(`the statement of line ${line} holds a NUL byte: the file is damaged`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DumpFormatError(`the statement of line ${line} is not UTF-8: use pg_dump --encoding=UTF8`, { cause });
  }
}

function isWordStart(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f || byte >= 0x80;
}

function isWordPart(byte: number): boolean {
  return isWordStart(byte) || (byte >= 0x30 && byte <= 0x39) || byte === 0x24;
}
