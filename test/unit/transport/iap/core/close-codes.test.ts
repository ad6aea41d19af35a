import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../../../../src/domain/errors.ts';
import {
  judgeClose,
  judgeStatus,
  type LinkPhase,
  type Verdict,
} from '../../../../../src/transport/iap/core/close-codes.ts';

const say = (verdict: Verdict) => (verdict.do === 'end' ? 'end' : `${verdict.do} ${verdict.error.code}`);
const close = (code: number, phase: LinkPhase, reason = '') => judgeClose({ code, reason }, phase, 'port 1 of m');

test('close codes, by how far the websocket had come', () => {
  const table: readonly (readonly [codes: readonly number[], connect: string, reconnect: string, open: string])[] = [
    [[1000, 4009, 4010], 'fail CT_REMOTE_REFUSED', 'fail CT_SESSION_ENDED', 'end'],
    [[1001, 1011, 1012, 1013], 'again CT_SERVICE', 'again CT_SERVICE', 'again CT_SERVICE'],
    [[1005], 'fail CT_SESSION_ENDED', 'fail CT_SESSION_ENDED', 'fail CT_SESSION_ENDED'],
    [[1006], 'again CT_NETWORK', 'again CT_NETWORK', 'again CT_NETWORK'],
    [[4000, 4999, 3000], 'again-briefly CT_SERVICE', 'again-briefly CT_SERVICE', 'again-briefly CT_SERVICE'],
    [[4001, 4074], 'fail CT_SESSION_ENDED', 'fail CT_SESSION_ENDED', 'fail CT_SESSION_ENDED'],
    [[4002], 'wait CT_TUNNEL_LOST', 'wait CT_TUNNEL_LOST', 'wait CT_TUNNEL_LOST'],
    [[4003], 'fail CT_REMOTE_REFUSED', 'fail CT_REMOTE_REFUSED', 'fail CT_REMOTE_REFUSED'],
    [[4004], 'renew CT_CREDENTIALS_EXPIRED', 'renew CT_CREDENTIALS_EXPIRED', 'renew CT_CREDENTIALS_EXPIRED'],
    [[4005, 4006, 4007, 4008, 4013], 'fail CT_PROTO_FRAME', 'fail CT_PROTO_FRAME', 'fail CT_PROTO_FRAME'],
    [[4033, 4054], 'fail CT_DENIED', 'fail CT_DENIED', 'fail CT_DENIED'],
    [[4047, 4051], 'fail CT_TARGET_NOT_FOUND', 'fail CT_TARGET_NOT_FOUND', 'fail CT_TARGET_NOT_FOUND'],
  ];
  for (const [codes, ...verdicts] of table) {
    for (const code of codes) {
      const phases = ['connect', 'reconnect', 'open'] as const;
      assert.deepEqual(
        phases.map((phase) => say(close(code, phase))),
        verdicts,
        String(code),
      );
    }
  }
});

test('statuses of the upgrade', () => {
  const status = (code: number, phase: LinkPhase = 'connect') => say(judgeStatus(code, phase, 'relay', 'm'));
  assert.equal(status(400), 'fail CT_UPGRADE_REFUSED');
  assert.equal(status(401), 'renew CT_CREDENTIALS_EXPIRED');
  assert.equal(status(403), 'fail CT_PROXY');
  assert.equal(status(404), 'fail CT_TARGET_NOT_FOUND');
  assert.equal(status(407), 'fail CT_PROXY');
  assert.equal(status(429), 'fail CT_THROTTLED');
  assert.equal(status(429, 'reconnect'), 'again CT_THROTTLED');
  assert.equal(status(503), 'again CT_SERVICE');
  assert.equal(status(302), 'fail CT_UPGRADE_REFUSED');
});

test('the words of the service are quoted without control characters', () => {
  const verdict = close(4054, 'connect', `Request is prohibited by organization's policy.\u001b[31m ID: abc\n`);
  assert.ok(verdict.do === 'fail');
  assert.deepEqual(verdict.error.details, [
    ['relay', `close 4054 "Request is prohibited by organization's policy. [31m ID: abc"`],
  ]);
});

test('a LONG_CLOSE explains a Close that says less', () => {
  const longClose = { code: 4033, reason: 'not authorized, and why' };
  const judge = (code: number) => judgeClose({ code, reason: '', longClose }, 'open', 'm');
  assert.equal(say(judge(1000)), 'fail CT_DENIED');
  assert.equal(say(judge(4033)), 'fail CT_DENIED');
  assert.equal(say(judge(4001)), 'fail CT_SESSION_ENDED');
});

test('a websocket that broke the rules is not resumed', () => {
  const error = new CloudtunError('CT_PROTO_FRAME', 'x');
  assert.deepEqual(judgeClose({ code: 1006, reason: '', error }, 'open', 'm'), { do: 'fail', error });
});
