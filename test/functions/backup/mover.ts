import { CopyObjectCommand } from '@aws-sdk/client-s3';
import type { TestRuntime } from '../../fixtures/step-runtime.ts';

/** A move: from one key to another, over what is there. */
export interface Move {
  readonly from: string;
  readonly to: string;
}

/** Moves a file as S3 has it moved: it is copied, and the old one deleted. Where nothing lies it does nothing. */
export async function move(cloud: TestRuntime, bucket: string, { from, to }: Move): Promise<void> {
  const CopySource = `${bucket}/${encodeURIComponent(from)}`;
  try {
    await cloud.client.send(
      new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource, MetadataDirective: 'REPLACE' }),
    );
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return;
    throw error;
  }
  if (from !== to) await cloud.remove(bucket, from);
}

/** Makes one move before each request of a step to a bucket, for as long as there are some. */
export function moveMeanwhile(cloud: TestRuntime, bucket: string, moves: readonly Move[], every = 1): void {
  const left = [...moves];
  let requests = 0;
  cloud.intercept(async (request, next) => {
    const concerned = request.path.startsWith(`/${bucket}/`) || request.headers['x-amz-copy-source']?.includes(bucket);
    if (concerned && requests++ % every === 0) {
      const one = left.shift();
      if (one !== undefined) await move(cloud, bucket, one);
    }
    return next();
  });
}
