import { describeAlterations } from './alterations.ts';

describeAlterations(1);
describeAlterations(424242);
