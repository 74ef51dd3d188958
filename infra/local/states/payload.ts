import { dataLimitFailure } from '../../workflows/language/failure.ts';
import { type Json, jsonByteCount } from '../../workflows/language/json.ts';

/** The largest input, output or result of a state, and of an execution: 256 KiB of UTF-8. */
export const PAYLOAD_LIMIT_BYTES = 256 * 1024;

/** @throws StateFailure `States.DataLimitExceeded` above 256 KiB. `what` names the payload. */
export function checkPayload(value: Json, what: string): void {
  if (jsonByteCount(value) > PAYLOAD_LIMIT_BYTES) throw dataLimitFailure(what);
}
