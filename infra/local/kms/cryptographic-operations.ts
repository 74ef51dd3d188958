import { randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { AccessDenied, KeyOperationError } from '../service.ts';
import type { Caller, Conditions, KeyAccess } from './access.ts';
import { checkState, type Key, type KeyUsage, type NamedKey } from './key.ts';
import {
  decryptWith,
  type EncryptionContext,
  encryptWith,
  keyIdOf,
  macWith,
  publicKeyOf,
  signWith,
  verifyWith,
} from './key-material.ts';
import { blob, EncryptionContextMap, GrantTokens, KeyId, type Operation, operation } from './parameters.ts';

const EncryptionAlgorithm = z.literal('SYMMETRIC_DEFAULT').optional();
const ALGORITHM = { 'kms:EncryptionAlgorithm': 'SYMMETRIC_DEFAULT' };
const Plaintext = blob(1, 4096);
const CiphertextBlob = blob(1, 6144);

/** Encrypt, Decrypt, ReEncrypt, the data keys, Sign, Verify, GetPublicKey, GenerateMac, VerifyMac and GenerateRandom. */
export function cryptographicOperations(access: KeyAccess): Record<string, Operation> {
  const DataKeyParameters = z.strictObject({
    KeyId,
    KeySpec: z.enum(['AES_256', 'AES_128']).optional(),
    NumberOfBytes: z.int().min(1).max(1024).optional(),
    EncryptionContext: EncryptionContextMap.optional(),
    GrantTokens,
  });
  const generateDataKey =
    (action: string) =>
    (
      parameters: z.output<typeof DataKeyParameters>,
      caller: Caller,
    ): { key: Key; plaintext: Buffer; ciphertext: Buffer } => {
      const { KeySpec, NumberOfBytes, EncryptionContext = {} } = parameters;
      if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
        throw new KeyOperationError('ValidationException', 'Please specify either number of bytes or key spec.');
      }
      const key = useToEncrypt(access, caller, action, parameters.KeyId, EncryptionContext);
      const plaintext = randomBytes(NumberOfBytes ?? (KeySpec === 'AES_128' ? 16 : 32));
      return { key, plaintext, ciphertext: encryptWith(key, plaintext, EncryptionContext) };
    };

  const SignParameters = z.strictObject({
    KeyId,
    Message: blob(1, 4096),
    MessageType: z.enum(['RAW', 'DIGEST']).default('RAW'),
    SigningAlgorithm: z.literal('ECDSA_SHA_256'),
    GrantTokens,
  });
  const useToSign = (caller: Caller, action: string, parameters: z.output<typeof SignParameters>): Key => {
    const { KeyId, Message, MessageType, SigningAlgorithm } = parameters;
    const key = access.use(caller, action, KeyId, {
      aliases: true,
      state: 'cryptographic',
      conditions: { 'kms:SigningAlgorithm': SigningAlgorithm, 'kms:MessageType': MessageType },
    });
    checkUsage(key, 'SIGN_VERIFY', action);
    if (MessageType === 'DIGEST' && Message.byteLength !== 32) {
      throw new KeyOperationError('ValidationException', `Digest is invalid length for algorithm ${SigningAlgorithm}.`);
    }
    return key;
  };

  const MacParameters = z.strictObject({
    KeyId,
    Message: blob(1, 4096),
    MacAlgorithm: z.enum(['HMAC_SHA_224', 'HMAC_SHA_256', 'HMAC_SHA_384', 'HMAC_SHA_512']),
    GrantTokens,
  });
  const useForMac = (caller: Caller, action: string, parameters: z.output<typeof MacParameters>): Key => {
    const { KeyId, MacAlgorithm } = parameters;
    const conditions = { 'kms:MacAlgorithm': MacAlgorithm };
    const key = access.use(caller, action, KeyId, { aliases: true, state: 'cryptographic', conditions });
    checkUsage(key, 'GENERATE_VERIFY_MAC', action);
    if (MacAlgorithm !== 'HMAC_SHA_256') {
      throw new KeyOperationError(
        'InvalidKeyUsageException',
        `Algorithm ${MacAlgorithm} is incompatible with key spec ${key.spec}.`,
      );
    }
    return key;
  };

  return {
    Encrypt: operation(
      'Encrypt',
      z.strictObject({
        KeyId,
        Plaintext,
        EncryptionContext: EncryptionContextMap.default({}),
        EncryptionAlgorithm,
        GrantTokens,
      }),
      (parameters, caller) => {
        const key = useToEncrypt(access, caller, 'Encrypt', parameters.KeyId, parameters.EncryptionContext);
        const ciphertext = encryptWith(key, parameters.Plaintext, parameters.EncryptionContext);
        return {
          CiphertextBlob: ciphertext.toString('base64'),
          KeyId: key.arn,
          EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        };
      },
    ),
    Decrypt: operation(
      'Decrypt',
      z.strictObject({
        CiphertextBlob,
        EncryptionContext: EncryptionContextMap.default({}),
        KeyId: KeyId.optional(),
        EncryptionAlgorithm,
        GrantTokens,
      }),
      ({ CiphertextBlob: ciphertext, EncryptionContext: context, KeyId: keyId }, caller) => {
        const { key, plaintext } = decrypt(access, caller, 'Decrypt', ciphertext, context, keyId);
        return {
          KeyId: key.arn,
          Plaintext: plaintext.toString('base64'),
          EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        };
      },
    ),
    ReEncrypt: operation(
      'ReEncrypt',
      z.strictObject({
        CiphertextBlob,
        SourceEncryptionContext: EncryptionContextMap.default({}),
        SourceKeyId: KeyId.optional(),
        SourceEncryptionAlgorithm: EncryptionAlgorithm,
        DestinationKeyId: KeyId,
        DestinationEncryptionContext: EncryptionContextMap.default({}),
        DestinationEncryptionAlgorithm: EncryptionAlgorithm,
        GrantTokens,
      }),
      (parameters, caller) => {
        const { SourceKeyId, SourceEncryptionContext, DestinationKeyId, DestinationEncryptionContext } = parameters;
        const source = findForDecryption(access, parameters.CiphertextBlob, SourceKeyId);
        const destination = access.find(DestinationKeyId, true);
        const same = { ...ALGORITHM, 'kms:ReEncryptOnSameKey': String(source.key === destination.key) };
        access.authorize(caller, 'ReEncryptTo', destination, same, DestinationEncryptionContext);
        const { plaintext } = decrypt(
          access,
          caller,
          'ReEncryptFrom',
          parameters.CiphertextBlob,
          SourceEncryptionContext,
          SourceKeyId,
          same,
        );
        checkState(destination.key, 'cryptographic', access.nowMs());
        checkUsage(destination.key, 'ENCRYPT_DECRYPT', 'ReEncrypt');
        const ciphertext = encryptWith(destination.key, plaintext, DestinationEncryptionContext);
        return {
          CiphertextBlob: ciphertext.toString('base64'),
          SourceKeyId: source.key.arn,
          KeyId: destination.key.arn,
          SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
          DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        };
      },
    ),
    GenerateDataKey: operation('GenerateDataKey', DataKeyParameters, (parameters, caller) => {
      const { key, plaintext, ciphertext } = generateDataKey('GenerateDataKey')(parameters, caller);
      return {
        CiphertextBlob: ciphertext.toString('base64'),
        Plaintext: plaintext.toString('base64'),
        KeyId: key.arn,
      };
    }),
    GenerateDataKeyWithoutPlaintext: operation(
      'GenerateDataKeyWithoutPlaintext',
      DataKeyParameters,
      (parameters, caller) => {
        const { key, ciphertext } = generateDataKey('GenerateDataKeyWithoutPlaintext')(parameters, caller);
        return { CiphertextBlob: ciphertext.toString('base64'), KeyId: key.arn };
      },
    ),
    GenerateRandom: operation(
      'GenerateRandom',
      z.strictObject({ NumberOfBytes: z.int().min(1).max(1024) }),
      ({ NumberOfBytes }, caller) => {
        access.authorizeAccount(caller, 'GenerateRandom');
        return { Plaintext: randomBytes(NumberOfBytes).toString('base64') };
      },
    ),
    Sign: operation('Sign', SignParameters, (parameters, caller) => {
      const key = useToSign(caller, 'Sign', parameters);
      return {
        KeyId: key.arn,
        Signature: signWith(key, parameters.Message, parameters.MessageType).toString('base64'),
        SigningAlgorithm: parameters.SigningAlgorithm,
      };
    }),
    Verify: operation('Verify', SignParameters.extend({ Signature: blob(1, 6144) }), (parameters, caller) => {
      const key = useToSign(caller, 'Verify', parameters);
      if (!verifyWith(key, parameters.Message, parameters.MessageType, parameters.Signature)) {
        throw new KeyOperationError('KMSInvalidSignatureException', 'the signature is not that of the key and message');
      }
      return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: parameters.SigningAlgorithm };
    }),
    // https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
    GenerateMac: operation('GenerateMac', MacParameters, (parameters, caller) => {
      const key = useForMac(caller, 'GenerateMac', parameters);
      const mac = macWith(key, parameters.Message);
      return { KeyId: key.arn, Mac: mac.toString('base64'), MacAlgorithm: parameters.MacAlgorithm };
    }),
    // https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
    VerifyMac: operation('VerifyMac', MacParameters.extend({ Mac: blob(1, 6144) }), (parameters, caller) => {
      const key = useForMac(caller, 'VerifyMac', parameters);
      const mac = macWith(key, parameters.Message);
      if (mac.byteLength !== parameters.Mac.byteLength || !timingSafeEqual(mac, parameters.Mac)) {
        throw new KeyOperationError('KMSInvalidMacException', 'the MAC is not that of the key and message');
      }
      return { KeyId: key.arn, MacValid: true, MacAlgorithm: parameters.MacAlgorithm };
    }),
    GetPublicKey: operation('GetPublicKey', z.strictObject({ KeyId, GrantTokens }), (parameters, caller) => {
      const key = access.use(caller, 'GetPublicKey', parameters.KeyId, { aliases: true, state: 'cryptographic' });
      if (key.usage !== 'SIGN_VERIFY') {
        throw new KeyOperationError('UnsupportedOperationException', `${key.arn} is symmetric and has no public key.`);
      }
      return {
        KeyId: key.arn,
        PublicKey: publicKeyOf(key).toString('base64'),
        CustomerMasterKeySpec: key.spec,
        KeySpec: key.spec,
        KeyUsage: key.usage,
        SigningAlgorithms: ['ECDSA_SHA_256'],
      };
    }),
  };
}

/** The key, once the caller may encrypt under it and its state and usage allow it. */
export function useToEncrypt(
  access: KeyAccess,
  caller: Caller,
  action: string,
  keyId: string,
  encryptionContext: EncryptionContext,
): Key {
  const key = access.use(caller, action, keyId, {
    aliases: true,
    state: 'cryptographic',
    conditions: ALGORITHM,
    encryptionContext,
  });
  checkUsage(key, 'ENCRYPT_DECRYPT', action);
  return key;
}

/**
 * Decrypts what this KMS encrypted, under the key that the ciphertext names.
 * @throws KeyOperationError IncorrectKeyException when `keyId` is another key, InvalidCiphertextException, or for the
 * key's state. AccessDenied, as in AWS, when the ciphertext's key is unknown and none was named.
 */
export function decrypt(
  access: KeyAccess,
  caller: Caller,
  action: string,
  ciphertext: Uint8Array,
  encryptionContext: EncryptionContext,
  keyId?: string,
  conditions: Conditions = ALGORITHM,
): { key: Key; plaintext: Buffer } {
  const named = findForDecryption(access, ciphertext, keyId);
  access.authorize(caller, action, named, conditions, encryptionContext);
  checkState(named.key, 'cryptographic', access.nowMs());
  checkUsage(named.key, 'ENCRYPT_DECRYPT', action);
  return { key: named.key, plaintext: decryptWith(named.key, ciphertext, encryptionContext) };
}

function findForDecryption(access: KeyAccess, ciphertext: Uint8Array, keyId: string | undefined): NamedKey {
  const named = keyId === undefined ? undefined : access.find(keyId, true);
  const usedId = keyIdOf(ciphertext);
  if (named === undefined) {
    try {
      return access.find(usedId, false);
    } catch (cause) {
      throw new AccessDenied(
        'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
        { cause },
      );
    }
  }
  if (named.key.id !== usedId) {
    throw new KeyOperationError(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    );
  }
  return named;
}

function checkUsage(key: Key, usage: KeyUsage, action: string): void {
  if (key.usage !== usage) {
    throw new KeyOperationError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} which is not valid for ${action}.`,
    );
  }
}
