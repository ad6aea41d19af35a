import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_FAULT_PLAN, FaultBoard, faultPatchSchema } from '../../../../src/lab/aws/faults.ts';

test('without faults the plan is the official agent', () => {
  const board = new FaultBoard();
  assert.deepEqual(board.plan(), DEFAULT_FAULT_PLAN);
  assert.equal(board.plan().pacing, true);
  assert.equal(board.plan('any'), board.plan());
});

test('a patch changes what it names; directions part by part, lists whole; a new one starts from the defaults', () => {
  const board = new FaultBoard({ input: { lossPercent: 5 }, cutOutput: { messages: [3] }, pacing: false });
  assert.deepEqual(board.plan().input, { ...DEFAULT_FAULT_PLAN.input, lossPercent: 5 });
  assert.deepEqual(board.plan().cutOutput, { messages: [3], bytes: [], everyBytes: 0 });
  board.set({ byeAfterMs: 1_000 });
  assert.deepEqual(board.plan(), { ...DEFAULT_FAULT_PLAN, byeAfterMs: 1_000 });
});

test('a session may have its own on top', () => {
  const board = new FaultBoard({ input: { lossPercent: 5 } });
  let changes = 0;
  const stop = board.onChange(() => {
    changes += 1;
  });
  board.setSession('s', { input: { latencyMs: 20 } });
  assert.deepEqual(board.plan('s').input, { ...DEFAULT_FAULT_PLAN.input, lossPercent: 5, latencyMs: 20 });
  assert.equal(board.plan('t').input.latencyMs, 0);
  board.set({});
  assert.deepEqual(board.plan('s').input, { ...DEFAULT_FAULT_PLAN.input, latencyMs: 20 });
  board.setSession('s', undefined);
  assert.deepEqual(board.plan('s'), DEFAULT_FAULT_PLAN);
  assert.equal(changes, 3);
  stop();
  board.set({});
  assert.equal(changes, 3);
});

test('what is no plan is refused by name', () => {
  for (const [patch, path] of [
    [{ input: { lossPercent: 101 } }, 'input.lossPercent'],
    [{ lossPercent: 1 }, ''],
    [{ input: { loss: 1 } }, 'input'],
    [{ injections: [{ afterOutput: 0, hex: 'abc' }] }, 'injections.0.hex'],
    [{ refuseResumes: 'always' }, 'refuseResumes'],
  ] as const) {
    const result = faultPatchSchema.safeParse(patch);
    assert.equal(result.success, false);
    assert.equal(result.error?.issues[0]?.path.join('.'), path);
  }
});

test('resumes are refused as often as asked, then granted', () => {
  const board = new FaultBoard({ refuseResumes: 2, refuseResumesWith: 'unknown' });
  const verdicts = [1, 2, 3].map(() => board.resumeVerdict({ sessionId: 's' }));
  assert.deepEqual(verdicts, ['unknown', 'unknown', undefined]);
  board.set({ refuseResumes: 'forever' });
  assert.deepEqual(
    [1, 2, 3].map(() => board.resumeVerdict({ sessionId: 's' })),
    ['expired', 'expired', 'expired'],
  );
});

test('a cell number is percent-encoded for the stream URL', () => {
  assert.equal(new FaultBoard().cellNumber(), undefined);
  assert.equal(new FaultBoard({ cellNumber: 'a+/b==' }).cellNumber(), 'a%2B%2Fb%3D%3D');
});
