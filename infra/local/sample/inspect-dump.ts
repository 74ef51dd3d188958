import { DumpCutOffError, DumpFormatError } from './dump-input.ts';
import { OWN_SCHEMA } from './own-names.ts';
import { readDump } from './read-dump.ts';
import { splitDump } from './split-dump.ts';

/** A whole dump that can be loaded, as far as the file alone can tell. */
export interface InspectedDump {
  readonly file: string;
  /** Of SQL, COPY among them. */
  readonly statementCount: number;
  /** The extensions that it creates, each once. */
  readonly extensions: readonly string[];
}

/**
 * Reads a plain-SQL dump, as `pg_dump` writes it (also gzipped), from beginning to end, and loads nothing: a file of any
 * size, in bounded memory.
 * @throws DumpFormatError when the file is no such dump, not a whole one, or holds what no local run can load.
 */
export async function inspectDump(file: string): Promise<InspectedDump> {
  const extensions = new Set<string>();
  let statementCount = 0;
  let sizeBytes = 0;
  const counted = async function* () {
    for await (const chunk of readDump(file)) {
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  let state: 'unmarked' | 'begun' | 'complete' = 'unmarked';
  try {
    for await (const part of splitDump(counted())) {
      if (part.kind === 'mark') {
        if (part.mark === 'cluster') throw refuseCluster(file);
        state = part.mark === 'begins' ? 'begun' : 'complete';
        continue;
      }
      statementCount++;
      checkStatement(part.sql, part.line);
      const extension = findExtension(part.sql);
      if (extension !== undefined) extensions.add(extension);
      if (part.kind === 'copy') for await (const _rows of part.data);
    }
  } catch (error) {
    if (error instanceof DumpCutOffError && state === 'unmarked') throw refuseUnmarked(file, sizeBytes);
    throw error;
  }
  if (state === 'unmarked') throw refuseUnmarked(file, sizeBytes);
  if (state === 'begun') {
    throw new DumpFormatError('the dump does not end as pg_dump ends one ("database dump complete"): it is cut off');
  }
  return { file, statementCount, extensions: [...extensions] };
}

function refuseCluster(file: string): DumpFormatError {
  return new DumpFormatError(
    `${file} is what pg_dumpall writes, which holds roles and all databases, or roles alone; dump one database with pg_dump`,
  );
}

function refuseUnmarked(file: string, sizeBytes: number): DumpFormatError {
  return new DumpFormatError(
    sizeBytes === 0
      ? `${file} is empty; dump the database with pg_dump --format=plain`
      : `${file} was not written by pg_dump, whose dumps end with "-- PostgreSQL database dump complete"; dump the database with pg_dump --format=plain`,
  );
}

const NAME = '("(?:[^"]|"")+"|[^\\s";]+)';
const ENCODING = /^SET\s+client_encoding\s*(?:=|TO)\s*'?([\w-]+)'?$/i;
const DEFAULT = new RegExp(`^SET\\s+(default_tablespace|default_table_access_method)\\s*(?:=|TO)\\s*'?${NAME}$`, 'i');
const SCHEMA = new RegExp(`^CREATE\\s+SCHEMA\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?${NAME}`, 'i');
const EXTENSION = new RegExp(
  `^CREATE\\s+(?:EXTENSION\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?|(?:OR\\s+REPLACE\\s+)?(?:TRUSTED\\s+)?(?:PROCEDURAL\\s+)?LANGUAGE\\s+)${NAME}`,
  'i',
);

function checkStatement(sql: string, line: number): void {
  const encoding = ENCODING.exec(sql)?.[1];
  if (encoding !== undefined && !/^(?:UTF-?8|SQL_ASCII)$/i.test(encoding)) {
    throw new DumpFormatError(`line ${line}: the dump is encoded in ${encoding}; dump with pg_dump --encoding=UTF8`);
  }
  const [, setting, value = ''] = DEFAULT.exec(sql) ?? [];
  const name = unquote(value.replace(/'$/, ''));
  if (setting?.toLowerCase() === 'default_tablespace' && !['', 'pg_default'].includes(name)) {
    throw new DumpFormatError(
      `line ${line}: the dump puts tables into the tablespace ${name}, which is not here; dump with pg_dump --no-tablespaces`,
    );
  }
  if (setting?.toLowerCase() === 'default_table_access_method' && name !== 'heap') {
    throw new DumpFormatError(
      `line ${line}: the dump stores tables by the access method ${name}, which is not here; dump with pg_dump --no-table-access-method`,
    );
  }
  if (unquote(SCHEMA.exec(sql)?.[1] ?? '') === OWN_SCHEMA) {
    throw new DumpFormatError(
      `line ${line}: the dump holds the schema ${OWN_SCHEMA}, which a local run makes for itself; dump with pg_dump --exclude-schema=${OWN_SCHEMA}`,
    );
  }
}

/** A language is an extension, too, unless it brings its own handler. */
function findExtension(sql: string): string | undefined {
  if (/^CREATE\s[\s\S]*\sHANDLER\s/i.test(sql)) return undefined;
  const name = EXTENSION.exec(sql)?.[1];
  return name === undefined ? undefined : unquote(name);
}

function unquote(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}
