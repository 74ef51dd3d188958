import { describeAlterations } from './alterations.ts';

describeAlterations(20261122);
