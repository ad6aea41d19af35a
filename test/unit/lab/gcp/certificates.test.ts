import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { makeCertificates } from '../../../../src/lab/gcp/relay/certificates.ts';
import { manualWorld } from '../../../support/manual-world.ts';

test('the certificate is good for loopback, vouched for by an authority that is nothing else', () => {
  const made = makeCertificates(manualWorld().world);
  const authority = new X509Certificate(made.authorityPem);
  const server = new X509Certificate(made.certificatePem);
  assert.equal(authority.ca, true);
  assert.equal(server.ca, false);
  assert.ok(authority.verify(authority.publicKey));
  assert.ok(server.verify(authority.publicKey));
  assert.ok(server.checkIssued(authority));
  assert.equal(server.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(server.checkIP('::1'), '::1');
  assert.equal(server.checkHost('localhost'), 'localhost');
  assert.equal(server.checkHost('example.com'), undefined);
  assert.equal(server.validFromDate.toISOString(), '2026-11-21T09:00:00.000Z');
  assert.equal(server.validToDate.toISOString(), '2026-12-22T09:00:00.000Z');
});

test('no two labs have the same', () => {
  const [one, other] = [makeCertificates(manualWorld().world), makeCertificates(manualWorld().world)];
  assert.notEqual(one.keyPem, other.keyPem);
  assert.notEqual(one.authorityPem, other.authorityPem);
});
