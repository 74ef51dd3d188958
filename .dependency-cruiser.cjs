/** The parts of the local cloud that stand in for AWS, whoever calls it. */
const CORES =
  '^infra/local/((s3|kms|rds|states|lambda|scheduler|events|trail|monitoring|logs|sqs|iam|endpoint)/|(clock|service|read-properties)\\.ts$)';

/** Imports point one way: steps to decisions to nothing; functions never see infra; capabilities never see each other. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      comment:
        'A cycle hides which way knowledge flows. Types alone may refer to each other: they are gone at run time.',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'functions-never-import-infra',
      severity: 'error',
      comment: 'What runs in Lambda must not depend on what deploys it or stands in for AWS on a laptop.',
      from: { path: '^functions/' },
      to: { path: '^(infra|runbooks|test)/' },
    },
    {
      name: 'capabilities-do-not-import-each-other',
      severity: 'error',
      comment: 'Capabilities meet in contracts/ and platform/ only.',
      from: { path: '^functions/([^/]+)/', pathNot: '^functions/(contracts|platform)/' },
      to: { path: '^functions/[^/]+/', pathNot: ['^functions/$1/', '^functions/(contracts|platform)/'] },
    },
    {
      name: 'platform-knows-no-capability',
      severity: 'error',
      comment: 'platform/ serves every capability, so it depends on none.',
      from: { path: '^functions/platform/' },
      to: { path: '^functions/', pathNot: '^functions/(contracts|platform)/' },
    },
    {
      name: 'contracts-import-nothing-of-ours',
      severity: 'error',
      comment: 'contracts/ holds shapes; it must load anywhere.',
      from: { path: '^functions/contracts/' },
      to: { path: '^(functions|infra|runbooks)/', pathNot: '^functions/contracts/' },
    },
    {
      name: 'sdk-clients-only-in-platform',
      severity: 'error',
      comment: 'One module for each AWS service translates its errors; other code asks that module.',
      from: { path: '^functions/', pathNot: '^functions/platform/' },
      to: { path: '^node_modules/(@aws-sdk|@smithy|pg)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'deployment-does-not-need-the-local-cloud',
      severity: 'error',
      comment:
        "Nothing but the local cloud, the command's local target and tests may depend on what stands in for AWS.",
      from: { path: '^(infra|runbooks)/', pathNot: ['^infra/local/', '^runbooks/cli/open-target\\.ts$'] },
      to: { path: '^infra/local/' },
    },
    {
      name: 'local-aws-knows-nothing-of-daybreak',
      severity: 'error',
      comment:
        'What stands in for AWS would prove nothing of a step that it knows: of ours it takes time, errors, how a function is run, and the language of workflows.',
      from: { path: CORES },
      to: {
        path: '^(functions|infra|runbooks)/',
        pathNot: [CORES, '^functions/platform/(clock|errors|runtime)\\.ts$', '^infra/workflows/language/'],
      },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      comment: 'Product code does not depend on its tests.',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      comment: 'An import that resolves to nothing would be skipped by every other rule.',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
