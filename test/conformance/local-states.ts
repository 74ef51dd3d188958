import {
  SFNClient,
  TestStateCommand,
  type TestStateCommandInput,
  type TestStateCommandOutput,
} from '@aws-sdk/client-sfn';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';

/** `TestState` as the local interpreter answers it, in this process: what every definition is tested with. */
export function openLocalStates(): (input: TestStateCommandInput) => Promise<TestStateCommandOutput> {
  const cloud = new LocalCloud({ clock: new LocalClock({ flow: 'manual' }) });
  const client = new SFNClient(cloud.clientConfiguration(cloud.root));
  return input => client.send(new TestStateCommand(input));
}
