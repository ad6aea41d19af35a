import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { withoutPerson } from '../../../src/config/remove-member.ts';

const TEXT = `# ours
version: 1
teams:
  readers: # they read
    aws: { role: readers }
    members: [ alice@example.com, bob@example.com ]
  one:
    aws: { user: alice }
    gcp: { user: Alice@example.com }
    may: { connect: [ prod ] }
  other:
    members: [ alice@elsewhere.org ]
`;

suite('a catalogue without a person', () => {
  test('names every place, and leaves everything else as it was', () => {
    const { text, places } = withoutPerson(TEXT, ['alice@example.com', 'alice']);
    assert.deepEqual(
      places.map(({ team, key, value }) => `${team} ${key} ${value}`),
      ['readers members alice@example.com', 'one aws.user alice', 'one gcp.user Alice@example.com'],
    );
    assert.match(text, /^# ours\nversion: 1\n/);
    assert.match(text, /# they read/);
    assert.match(text, /aws: \{ role: readers \}\n {4}members: \[ bob@example\.com \]\n/);
    assert.doesNotMatch(text, /aws: \{\}/);
    assert.match(text, /alice@elsewhere\.org/, 'somebody else of the same first name');
    assert.doesNotMatch(text, /alice@example\.com/i);
  });

  test('is the very same text where nobody is named', () => {
    const { text, places } = withoutPerson(TEXT, ['carol']);
    assert.equal(text, TEXT);
    assert.deepEqual(places, []);
  });
});
