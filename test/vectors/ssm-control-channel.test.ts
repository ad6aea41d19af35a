/** Frames between service and agent. A client never gets them; they are decoded as proof of the codec on large JSON payloads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeMessage, encodeMessage, readMessage } from '../../src/transport/ssm/core/client-message.ts';
import { reportVectors, ssmVectors, unhex } from '../support/ssm-vectors.ts';

const tasks = ssmVectors('controlChannelTasks');

test('interactive_shell tasks decode to their payload and its inner content', (t) => {
  let run = 0;
  for (const task of tasks) {
    const frame = unhex(task.hex);
    const message = decodeMessage(frame);
    assert.equal(message.messageType, 'interactive_shell', task.name);
    assert.equal(message.payloadType, 0, task.name);
    assert.equal(Buffer.from(message.payload).toString(), task.payload, task.name);
    const outer = JSON.parse(task.payload) as { Content: string; SchemaVersion: number };
    assert.equal(outer.Content, task.content, task.name);
    const inner = JSON.parse(outer.Content) as {
      SessionId: string;
      DocumentContent: { schemaVersion: string; sessionType: string };
    };
    if (task.agentParses) {
      assert.equal(inner.SessionId, task.agentParses.sessionId, task.name);
      assert.equal(inner.DocumentContent.sessionType, task.agentParses.pluginName, task.name);
    } else {
      assert.match(task.agentError!, /schema version 1\.1/);
      assert.equal(inner.DocumentContent.schemaVersion, '1.1');
    }
    assert.equal(encodeMessage(message).toString('hex'), task.hex, task.name);
    // On a data channel it is an unknown type: read, and left to whoever ignores it.
    assert.equal(readMessage(frame).messageType, 'interactive_shell');
    run++;
  }
  reportVectors(t, 'controlChannelTasks', run, tasks.length);
});
