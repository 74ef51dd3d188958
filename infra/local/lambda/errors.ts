/** Lambda refused the invocation before the function ran. `code` is Lambda's own (`TooManyRequestsException`, …). */
export class LambdaServiceError extends Error {
  override readonly name = 'LambdaServiceError';
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = status;
  }
}

/** What a function that threw, timed out or could not be loaded answers. */
export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}
