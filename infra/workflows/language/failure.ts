/** The error of a state or of a whole execution, as `$states.errorOutput` and `DescribeExecution` show it. */
export class StateFailure extends Error {
  override readonly name = 'StateFailure';
  /** The error name that retriers and catchers match. A Fail state may leave it out. */
  readonly error: string | undefined;
  readonly reason: string | undefined;

  constructor(error: string | undefined, reason: string | undefined, options?: ErrorOptions) {
    super(`${error ?? 'no error name'}: ${reason ?? 'no cause'}`, options);
    this.error = error;
    this.reason = reason;
  }
}

/** Thrown through whatever runs inside an execution, branch or iteration that was stopped. No state sees it. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** `States.QueryEvaluationError`: a query threw, or returned nothing or the wrong type. */
export function queryFailure(expression: string, field: string, what: string, cause?: unknown): StateFailure {
  return new StateFailure(
    'States.QueryEvaluationError',
    `The JSONata expression '${expression}' specified for the field '${field}' ${what}.`,
    { cause },
  );
}

export function dataLimitFailure(what: string): StateFailure {
  return new StateFailure(
    'States.DataLimitExceeded',
    `The ${what} has a size exceeding the maximum number of bytes service limit.`,
  );
}
