/** Everything that a run makes begins with this. */
export const PREFIX = 'daybreak-conformance-';
/** The tag of everything that can have one. Its value is the run. */
export const TAG = 'daybreak:conformance';
