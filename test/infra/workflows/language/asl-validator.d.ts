declare module 'asl-validator' {
  /** Checks a definition against the schemas of Amazon States Language. It writes into the definition. */
  export default function validate(
    definition: Record<string, unknown>,
    options?: { checkPaths?: boolean; checkArn?: boolean },
  ): { isValid: boolean; errors: unknown[] };
}
