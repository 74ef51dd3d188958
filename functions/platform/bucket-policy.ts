import { GetBucketPolicyCommand } from '@aws-sdk/client-s3';
import { callS3, ObjectNotFoundError } from './s3.ts';

/** The text of a bucket's policy; undefined where it has none. @throws ObjectNotFoundError where there is no such bucket. */
export async function readBucketPolicy(bucket: string): Promise<string | undefined> {
  try {
    const { Policy } = await callS3(`s3://${bucket}`, client =>
      client.send(new GetBucketPolicyCommand({ Bucket: bucket })),
    );
    return Policy;
  } catch (error) {
    const { cause } = error as Error;
    if (error instanceof ObjectNotFoundError && cause instanceof Error && cause.name === 'NoSuchBucketPolicy') {
      return undefined;
    }
    throw error;
  }
}
