import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import type { MachineTarget, Route } from '../../../../src/domain/target.ts';
import type { SsmSessionTicket } from '../../../../src/domain/ticket.ts';
import type { SessionOptions } from '../../../../src/providers/provider.ts';
import { type FakeAws, fakeAws, inTurn, json, refusal } from '../../../support/aws-answers.ts';

const signal = new AbortController().signal;
const NODE: MachineTarget = {
  kind: 'machine',
  provider: 'aws',
  id: 'i-0a1b2c3d4e5f60001',
  name: 'bastion-a',
  state: 'running',
};
const TO = { host: 'prod.example', port: 3306 };
const ROUTE: Route = { provider: 'aws', target: NODE, node: NODE, to: TO, reasons: [], rejected: [] };
const SESSION = 'alice-0a1b2c3d4e5f60001';
const URL_OF_SESSION = `wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/${SESSION}?role=publish_subscribe&cell-number=AAEA+Lu4/8==`;
const STARTED = json({ SessionId: SESSION, StreamUrl: URL_OF_SESSION, TokenValue: 'token-1' });
const IDENTITY = {
  status: 200,
  body: `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
    <Arn>arn:aws:sts::111122223333:assumed-role/readers/alice</Arn><UserId>AROAEXAMPLE:alice</UserId><Account>111122223333</Account>
    </GetCallerIdentityResult></GetCallerIdentityResponse>`,
};

const stsRefusal = (code: string, status = 403) => ({
  status,
  body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
});

const source = (aws: FakeAws, options: SessionOptions = {}, route = ROUTE) =>
  aws.provider.gatekeeper.ticketSource(route, options);
const issued = (aws: FakeAws, options?: SessionOptions): Promise<SsmSessionTicket> =>
  source(aws, options).issue(TO, signal);

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('StartSession', () => {
  test('to another host, with a reason', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED);
    const ticket = await issued(aws, { reason: 'incident 42' });
    assert.deepEqual(
      aws.asked.map(({ action, input }) => ({ action, input })),
      [
        {
          action: 'StartSession',
          input: {
            Target: NODE.id,
            DocumentName: 'AWS-StartPortForwardingSessionToRemoteHost',
            Parameters: { portNumber: ['3306'], host: ['prod.example'] },
            Reason: 'incident 42',
          },
        },
      ],
    );
    assert.equal(ticket.sessionId, SESSION);
    assert.equal(ticket.streamUrl, URL_OF_SESSION);
    assert.equal(ticket.targetId, NODE.id);
    assert.deepEqual(ticket.to, TO);
    assert.equal(ticket.token.reveal(), 'token-1');
    assert.doesNotMatch(inspect(ticket) + JSON.stringify(ticket), /token-1/);
  });

  test('to a port of the node itself', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED);
    await source(aws).issue({ port: 80 }, signal);
    assert.deepEqual(aws.asked[0]!.input, {
      Target: NODE.id,
      DocumentName: 'AWS-StartPortForwardingSession',
      Parameters: { portNumber: ['80'] },
    });
  });

  test('a reason that AWS would not keep', async () => {
    await using aws = await fakeAws();
    for (const reason of ['', 'x'.repeat(257)]) assert.throws(() => source(aws, { reason }), { code: 'CT_USAGE' });
  });

  test('denied: who, and what is missing', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', refusal('AccessDeniedException')).on('GetCallerIdentity', IDENTITY);
    const error = await failure(issued(aws), 'CT_DENIED');
    assert.equal(
      error.message,
      'alice may not start a session on bastion-a with document AWS-StartPortForwardingSessionToRemoteHost',
    );
    assert.deepEqual(error.details, [
      ['identity', 'arn:aws:sts::111122223333:assumed-role/readers/alice (environment)'],
      ['missing', `ssm:StartSession on instance/${NODE.id} and document/AWS-StartPortForwardingSessionToRemoteHost`],
    ]);
  });

  const failures: [awsCode: string, ours: string][] = [
    ['TargetNotConnected', 'CT_TARGET_OFFLINE'],
    ['InvalidDocument', 'CT_DOCUMENT_INVALID'],
    ['ExpiredTokenException', 'CT_CREDENTIALS_EXPIRED'],
    ['UnrecognizedClientException', 'CT_CREDENTIALS_INVALID'],
    ['InvalidSignatureException', 'CT_CREDENTIALS_INVALID'],
    ['ThrottlingException', 'CT_THROTTLED'],
    ['InternalServerError', 'CT_SERVICE'],
    ['ValidationException', 'CT_SERVICE'],
  ];
  for (const [awsCode, ours] of failures) {
    test(`${awsCode} is ${ours}`, async () => {
      await using aws = await fakeAws();
      aws.on('StartSession', refusal(awsCode));
      const error = await failure(issued(aws), ours);
      assert.ok(error.hints.length > 0);
      assert.doesNotMatch(error.message, /made up/);
    });
  }

  test('an answer without a token', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', json({ SessionId: SESSION, StreamUrl: URL_OF_SESSION }));
    await failure(issued(aws), 'CT_SERVICE');
  });

  test('a stream host that is not of AWS: refused, and the session ended', async () => {
    await using aws = await fakeAws();
    aws
      .on('StartSession', json({ SessionId: SESSION, StreamUrl: 'wss://evil.example/x', TokenValue: 't' }))
      .on('TerminateSession', json({}));
    await failure(issued(aws), 'CT_STREAM_HOST');
    assert.deepEqual(aws.actions(), ['StartSession', 'TerminateSession']);
  });
});

describe('a document of the user', () => {
  const content = (document: object) => json({ Name: 'mine', Content: JSON.stringify(document) });
  const port = (properties: object, parameters: object = {}) =>
    content({ schemaVersion: '1.0', sessionType: 'Port', parameters, properties });
  const parametersSent = (aws: FakeAws) =>
    aws.asked.filter(({ action }) => action === 'StartSession').map(({ input }) => input.Parameters);

  test('one that fixes its destination gets no parameters', async () => {
    await using aws = await fakeAws();
    aws
      .on('GetDocument', port({ type: 'LocalPortForwarding', host: 'PROD.example', portNumber: '3306' }))
      .on('StartSession', STARTED);
    await issued(aws, { document: 'mine' });
    assert.deepEqual(parametersSent(aws), [undefined]);
    assert.equal(aws.asked[1]!.input.DocumentName, 'mine');
  });

  test('one with parameters gets those it has, by the names it gives them', async () => {
    await using aws = await fakeAws();
    aws
      .on('GetDocument', port({ host: '{{ target }}', portNumber: '{{port}}' }, { target: {}, port: {} }))
      .on('StartSession', STARTED);
    await issued(aws, { document: 'mine' });
    assert.deepEqual(parametersSent(aws), [{ port: ['3306'], target: ['prod.example'] }]);
  });

  for (const [name, document, why] of [
    [
      'to another host',
      port({ host: 'other.example', portNumber: '3306' }),
      /leads to host other\.example, not to prod\.example:3306/,
    ],
    ['to another port', port({ host: 'prod.example', portNumber: '5432' }), /leads to portNumber 5432/],
    ['to the node only', port({ portNumber: '{{ portNumber }}' }), /leads to no other host/],
    ['for a shell', content({ sessionType: 'Standard_Stream' }), /sessions of the type Standard_Stream/],
    ['of rubbish', json({ Content: '{' }), /cannot be parsed/],
    ['of a word', json({ Content: '"x"' }), /cannot be parsed/],
  ] as const) {
    test(`refused before a session is started: ${name}`, async () => {
      await using aws = await fakeAws();
      aws.on('GetDocument', document);
      const error = await failure(issued(aws, { document: 'mine' }), 'CT_DOCUMENT_INVALID');
      assert.match(error.message, why);
    });
  }

  test('one that does not exist', async () => {
    await using aws = await fakeAws();
    aws.on('GetDocument', refusal('InvalidDocument'));
    await failure(issued(aws, { document: 'mine' }), 'CT_DOCUMENT_INVALID');
  });

  test('one that may not be read: all parameters, then none', async () => {
    await using aws = await fakeAws();
    aws.on('GetDocument', refusal('AccessDeniedException')).on('GetCallerIdentity', IDENTITY);
    aws.on('StartSession', inTurn(refusal('InvalidParameters'), STARTED));
    assert.equal((await issued(aws, { document: 'mine' })).sessionId, SESSION);
    assert.deepEqual(parametersSent(aws), [{ portNumber: ['3306'], host: ['prod.example'] }, undefined]);
  });
});

describe('ResumeSession', () => {
  test('a new token for the same session and address', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED);
    aws.on('ResumeSession', json({ SessionId: SESSION, StreamUrl: 'wss://elsewhere.example/', TokenValue: 'token-2' }));
    const ticket = await issued(aws);
    const renewed = await source(aws).renew(ticket, signal);
    assert.equal(renewed?.token.reveal(), 'token-2');
    assert.equal(renewed?.streamUrl, URL_OF_SESSION);
  });

  for (const [name, answer] of [
    ['no token', json({ SessionId: SESSION })],
    ['an empty token', json({ SessionId: SESSION, TokenValue: '' })],
    ['DoesNotExistException', refusal('DoesNotExistException')],
  ] as const) {
    test(`${name}: the session is over`, async () => {
      await using aws = await fakeAws();
      aws.on('StartSession', STARTED).on('ResumeSession', answer);
      assert.equal(await source(aws).renew(await issued(aws), signal), undefined);
    });
  }

  test('denied and expired are errors, not an end', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED).on('GetCallerIdentity', IDENTITY);
    aws.on('ResumeSession', inTurn(refusal('AccessDeniedException'), refusal('ExpiredTokenException')));
    const ticket = await issued(aws);
    const denied = await failure(source(aws).renew(ticket, signal), 'CT_DENIED');
    assert.deepEqual(denied.details[1], ['missing', `ssm:ResumeSession on session/${SESSION}`]);
    const expired = await failure(source(aws).renew(ticket, signal), 'CT_CREDENTIALS_EXPIRED');
    assert.deepEqual(expired.hints, ['sign in again: cloudtun login']);
  });

  test('called off', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED);
    const ticket = await issued(aws);
    const reason = new Error('no longer wanted');
    await assert.rejects(source(aws).renew(ticket, AbortSignal.abort(reason)), reason);
  });
});

describe('TerminateSession', () => {
  test('once, however often it is asked', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED).on('TerminateSession', json({ SessionId: SESSION }));
    const tickets = source(aws);
    const ticket = await tickets.issue(TO, signal);
    await Promise.all([tickets.release(ticket), tickets.release(ticket)]);
    await tickets.release(ticket);
    assert.deepEqual(aws.actions(), ['StartSession', 'TerminateSession']);
    assert.equal(aws.manual.clock.pending, 0);
  });

  test('one that is gone already', async () => {
    await using aws = await fakeAws();
    aws.on('TerminateSession', refusal('DoesNotExistException'));
    await aws.provider.gatekeeper.endSession(SESSION, signal);
  });

  test('a failure is told, and it may be tried again', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED).on('TerminateSession', inTurn(refusal('InternalServerError', 500), json({})));
    const tickets = source(aws);
    const ticket = await tickets.issue(TO, signal);
    await failure(tickets.release(ticket), 'CT_SERVICE');
    await tickets.release(ticket);
  });

  test('it does not wait for ever', async () => {
    await using aws = await fakeAws();
    aws.on('StartSession', STARTED);
    const tickets = source(aws);
    const ticket = await tickets.issue(TO, signal);
    aws.on('TerminateSession', () => {
      aws.manual.clock.tick(5_000);
      return json({});
    });
    const error = await failure(tickets.release(ticket), 'CT_TIMEOUT');
    assert.match(error.message, /could not be ended in 5 s/);
  });
});

describe('the signed upgrade', () => {
  /*
   * Derived outside this program, from the published steps of Signature Version 4, with the keys of test/support/aws-answers.ts at
   * 2026-11-22T09:00:00Z in eu-west-1 for the service ssmmessages. The canonical request of the second one:
   *
   *   GET
   *   /v1/data-channel/alice-0a1b2c3d4e5f60001
   *   cell-number=AAEA%2BLu4%2F8%3D%3D&role=publish_subscribe
   *   host:ssmmessages.eu-west-1.amazonaws.com
   *   x-amz-date:20261122T090000Z
   *   x-amz-security-token:FwoGZXIvYXdzEXAMPLE//==
   *   (blank)
   *   host;x-amz-date;x-amz-security-token
   *   e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
   */
  const TOKEN = 'FwoGZXIvYXdzEXAMPLE//==';
  const known: [name: string, url: string, token: string | undefined, signature: string][] = [
    [
      'a plain URL',
      `wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/${SESSION}?role=publish_subscribe`,
      undefined,
      '9d4cf516493b0839f2439aaea649eea75000accf03df07b2552d3f63e7680a05',
    ],
    [
      'a cell number in raw base64, and temporary keys',
      URL_OF_SESSION,
      TOKEN,
      '1fc1abf70a779b3ae13aa23865904a7e64e0474375ba1756a8c47ebbcfea8107',
    ],
    [
      'a cell number that is percent-encoded already',
      URL_OF_SESSION.replace('AAEA+Lu4/8==', 'AAEA%2BLu4%2f8%3D%3D'),
      TOKEN,
      '1fc1abf70a779b3ae13aa23865904a7e64e0474375ba1756a8c47ebbcfea8107',
    ],
    [
      'a host with a port, and an escape in the path',
      'ws://127.0.0.1:5000/v1/data-channel/alice%40example.com-0a1b?role=publish_subscribe',
      undefined,
      '17f0bcbbe3d5103c1d3c2b0d9ae953c98ec52be729cb0e48aa2f451091ce937a',
    ],
  ];
  for (const [name, url, token, signature] of known) {
    test(name, async () => {
      await using aws = await fakeAws({ env: token === undefined ? {} : { AWS_SESSION_TOKEN: token } });
      const headers = await source(aws).signUpgrade!(new URL(url));
      const signed = `host;x-amz-date${token === undefined ? '' : ';x-amz-security-token'}`;
      assert.deepEqual(headers, {
        'x-amz-date': '20261122T090000Z',
        ...(token === undefined ? {} : { 'x-amz-security-token': token }),
        authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-west-1/ssmmessages/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
      });
    });
  }

  test('a URL that is signed already is left alone', async () => {
    await using aws = await fakeAws();
    for (const name of ['X-Amz-Signature', 'x-amz-algorithm', 'X-Amz-Security-Token']) {
      assert.deepEqual(await source(aws).signUpgrade!(new URL(`${URL_OF_SESSION}&${name}=1`)), {});
    }
  });

  test('it can be turned off', async () => {
    await using aws = await fakeAws({ env: { CLOUDTUN_SSM_SIGN_UPGRADE: '0' } });
    assert.equal(source(aws).signUpgrade, undefined);
  });

  test('a URL that cannot be signed is opened unsigned, with a warning', async () => {
    await using aws = await fakeAws();
    const headers = await source(aws).signUpgrade!(new URL(`${URL_OF_SESSION}&bad=%E0%A4%A`));
    assert.deepEqual(headers, {});
    assert.deepEqual(
      aws.manual.logs.filter(({ level }) => level === 'warn').map(({ message }) => message),
      ['the websocket is opened unsigned: URIError'],
    );
  });
});

describe('a data channel that the gateway denies', () => {
  const denied = new CloudtunError('CT_DENIED', 'this identity may not open the data channel of session alice-1', {
    details: [['missing', 'ssmmessages:OpenDataChannel on session/alice-1']],
    hint: 'ask',
  });

  test('says who was denied', async () => {
    await using aws = await fakeAws();
    aws.on('GetCallerIdentity', IDENTITY);
    const error = await source(aws).diagnose!(denied, TO, signal);
    assert.deepEqual([error.code, error.message], ['CT_DENIED', 'alice may not open the data channel of the session']);
    assert.deepEqual(error.details, [
      ['identity', 'arn:aws:sts::111122223333:assumed-role/readers/alice (environment)'],
      ['missing', 'ssmmessages:OpenDataChannel on session/alice-1'],
    ]);
    assert.deepEqual(error.hints, ['ask']);
  });

  test('is a matter of credentials where STS does not take them either', async () => {
    await using aws = await fakeAws();
    aws.on('GetCallerIdentity', stsRefusal('ExpiredToken'));
    const error = await source(aws).diagnose!(denied, TO, signal);
    assert.equal(error.code, 'CT_CREDENTIALS_EXPIRED');
  });

  test('stays what it is where nobody can be asked, and where it is something else', async () => {
    await using aws = await fakeAws();
    aws.on('GetCallerIdentity', stsRefusal('InternalFailure', 500));
    assert.equal(await source(aws).diagnose!(denied, TO, signal), denied);
    const other = new CloudtunError('CT_NETWORK', 'away');
    assert.equal(await source(aws).diagnose!(other, TO, signal), other);
  });
});

describe('who we are, and what a route asks for', () => {
  test('whoami', async () => {
    await using aws = await fakeAws();
    aws.on('GetCallerIdentity', IDENTITY);
    assert.deepEqual(await aws.provider.gatekeeper.whoami(signal), {
      id: 'arn:aws:sts::111122223333:assumed-role/readers/alice',
      account: '111122223333',
      name: 'alice',
      principals: [{ cloud: 'aws', kind: 'role', name: 'readers' }],
      source: 'environment',
    });
  });

  test('explain', async () => {
    await using aws = await fakeAws({ selection: { region: 'cn-north-1' } });
    const { gatekeeper } = aws.provider;
    assert.deepEqual(gatekeeper.explain(ROUTE, {}), {
      document: 'AWS-StartPortForwardingSessionToRemoteHost',
      actions: [
        { action: 'ssm:StartSession', resource: `arn:aws-cn:ec2:cn-north-1:*:instance/${NODE.id}` },
        {
          action: 'ssm:StartSession',
          resource: 'arn:aws-cn:ssm:cn-north-1::document/AWS-StartPortForwardingSessionToRemoteHost',
        },
        { action: 'ssmmessages:OpenDataChannel', resource: 'arn:aws-cn:ssm:cn-north-1:*:session/*' },
        { action: 'ssm:ResumeSession', resource: 'arn:aws-cn:ssm:cn-north-1:*:session/*' },
        { action: 'ssm:TerminateSession', resource: 'arn:aws-cn:ssm:cn-north-1:*:session/*' },
      ],
    });
    const hybrid = { ...ROUTE, node: { ...NODE, id: 'mi-0a1b2c3d4e5f60009' }, to: { port: 80 } };
    const { document, actions } = gatekeeper.explain(hybrid, { document: 'mine' });
    assert.equal(document, 'mine');
    assert.equal(actions[0]!.resource, 'arn:aws-cn:ssm:cn-north-1:*:managed-instance/mi-0a1b2c3d4e5f60009');
    assert.equal(actions[1]!.resource, 'arn:aws-cn:ssm:cn-north-1:*:document/mine');
  });
});
