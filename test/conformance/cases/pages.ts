const S3_GUIDE = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide';
const S3_API = 'https://docs.aws.amazon.com/AmazonS3/latest/API';
const KMS_GUIDE = 'https://docs.aws.amazon.com/kms/latest/developerguide';
const KMS_API = 'https://docs.aws.amazon.com/kms/latest/APIReference';

/** A page of the S3 User Guide. */
export const s3Guide = (page: string): string => `${S3_GUIDE}/${page}.html`;
/** An operation in the S3 API Reference. */
export const s3Api = (operation: string): string => `${S3_API}/API_${operation}.html`;
export const kmsGuide = (page: string): string => `${KMS_GUIDE}/${page}.html`;
export const kmsApi = (operation: string): string => `${KMS_API}/API_${operation}.html`;
