import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BASIC_CLIENT_VERSION,
  CLIENT_VERSION,
  judgeAgent,
  judgeClient,
} from '../../src/transport/ssm/core/version-gates.ts';
import { reportVectors, ssmVectors } from '../support/ssm-vectors.ts';

const { clientJudgesAgent, agentJudgesClient } = ssmVectors('versionGates');

test('agents are judged as the official client judges them, clients as the official agent does', (t) => {
  let run = 0;
  for (const { agentVersion, ...verdict } of clientJudgesAgent) {
    assert.deepEqual(judgeAgent(agentVersion), verdict, `agent "${agentVersion}"`);
    run++;
  }
  for (const { clientVersion, ...verdict } of agentJudgesClient) {
    const ours = judgeClient(clientVersion);
    assert.deepEqual(
      {
        agentUsesMux: ours.usesMux,
        agentSmuxKeepAliveDisabled: ours.smuxKeepAliveDisabled,
        tooOldForSeparateOutput: ours.tooOldForSeparateOutput,
      },
      verdict,
      `client "${clientVersion}"`,
    );
    run++;
  }
  reportVectors(t, 'versionGates', run, clientJudgesAgent.length + agentJudgesClient.length);
});

test('what we call ourselves gets mux without smux keep-alive; the basic name gets basic mode', () => {
  assert.deepEqual(judgeClient(CLIENT_VERSION), {
    usesMux: true,
    smuxKeepAliveDisabled: true,
    tooOldForSeparateOutput: false,
  });
  assert.equal(judgeClient(BASIC_CLIENT_VERSION).usesMux, false);
});
