/** The schema that a local run makes in the operator's database. */
export const OWN_SCHEMA = 'daybreak_local_run';

/** The role with which somebody looks into a source database of a local cloud that is kept up. */
export const VISITOR = 'local_visitor';
