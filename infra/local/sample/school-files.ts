import { createCipheriv, createHash } from 'node:crypto';
import { SAMPLE_SIZE } from './school-database.ts';

/** A file of the sample. `content` makes its bytes anew at each call. */
export interface SampleFile {
  key: string;
  /** null: outside every school's prefix. */
  tenant: string | null;
  sizeBytes: number;
  contentType: string;
  metadata?: Record<string, string>;
  tags?: Record<string, string>;
  content: () => Buffer;
}

const FOLDERS = ['work', 'evidence forms', 'photos/year 7', 'plans'];
const TYPES = [
  ['jpg', 'image/jpeg'],
  ['pdf', 'application/pdf'],
  ['txt', 'text/plain; charset=utf-8'],
  ['docx', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
] as const;
const LARGE_FILE_BYTES = 6 * 1024 * 1024 + 17;

/** The sample's uploaded files, of mixed sizes: the same for the same seed. The last but two is over 5 MB. */
export function listSchoolFiles(seed: number): SampleFile[] {
  const tenanted = Array.from({ length: SAMPLE_SIZE.uploads - 2 }, (_, index): SampleFile => {
    const chance = chancesOf(seed, `file ${index}`);
    const tenant = `school-${String((index % SAMPLE_SIZE.schools) + 1).padStart(3, '0')}`;
    const [extension, contentType] = pick(TYPES, chance(0));
    const large = index === SAMPLE_SIZE.uploads - 3;
    // Most files are small, some are large, a few are empty, as in a real folder of uploads.
    const sizeBytes = large
      ? LARGE_FILE_BYTES
      : chance(1) % 97 === 0
        ? 0
        : 2 ** (7 + (chance(2) % 10)) + (chance(3) % 997);
    const name = `${pick(FOLDERS, chance(4))}/sample ${String(index).padStart(5, '0')}${chance(5) % 50 === 0 ? ' +100% – ünïcode' : ''}.${extension}`;
    return {
      key: `schools/${tenant}/${name}`,
      tenant,
      sizeBytes,
      contentType,
      ...(chance(6) % 3 === 0 ? { metadata: { 'uploaded-by': `staff-${chance(7) % 1000}` } } : {}),
      ...(chance(6) % 25 === 0 ? { tags: { retention: 'standard' } } : {}),
      content: () => contentOf(seed, name, sizeBytes),
    };
  });
  const shared = ['handbook.pdf', 'shared/term dates.txt'].map(
    (key): SampleFile => ({
      key,
      tenant: null,
      sizeBytes: 2048,
      contentType: 'application/octet-stream',
      content: () => contentOf(seed, key, 2048),
    }),
  );
  return [...tenanted, ...shared];
}

function pick<T>(choices: readonly T[], chance: number): T {
  return choices[chance % choices.length] as T;
}

function chancesOf(seed: number, what: string): (index: number) => number {
  const digest = createHash('sha256').update(`${seed} ${what}`).digest();
  return index => digest.readUInt32BE(index * 4);
}

function contentOf(seed: number, what: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(`${seed} content ${what}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}
