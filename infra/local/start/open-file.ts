import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { describeSystemError, UsageError } from '../../command-line/failure.ts';

/** A file while its bytes are read. */
export interface OpenedFile {
  readonly sizeBytes: number;
  /** Reads up to `length` bytes from `start`. */
  read(start: number, length: number): Promise<Buffer>;
  /** Whether it is still as it was when it was opened. */
  isUnchanged(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Opens a file that was listed below `directory`; what is a link, a FIFO or a folder by now is not followed or waited for.
 * @returns undefined when it is no file there any more.
 * @throws UsageError when it cannot be read.
 */
export async function openFile(directory: string, key: string): Promise<OpenedFile | undefined> {
  const refused = (error: unknown) =>
    new UsageError(`--files ${directory}: ${JSON.stringify(key)} cannot be read: ${describeSystemError(error)}`);
  let handle: FileHandle;
  try {
    handle = await open(`${directory}/${key}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw refused(error);
  }
  const opened = await handle.stat({ bigint: true });
  if (!opened.isFile()) {
    await handle.close();
    return undefined;
  }
  return {
    sizeBytes: Number(opened.size),
    read: async (start, length) => {
      const buffer = Buffer.alloc(length);
      let filled = 0;
      try {
        while (filled < length) {
          const { bytesRead } = await handle.read(buffer, filled, length - filled, start + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
      } catch (error) {
        throw refused(error);
      }
      return buffer.subarray(0, filled);
    },
    isUnchanged: async () => {
      // No tool can set the time of the inode's change.
      const now = await handle.stat({ bigint: true });
      return now.size === opened.size && now.ctimeNs === opened.ctimeNs;
    },
    close: () => handle.close(),
  };
}
