import type { HttpAnswer } from '../../http.ts';
import type { SigV4Problem } from '../sigv4-check.ts';
import { xmlDocument } from './xml.ts';

/** How an API spells requests and errors. `rest-json` is IAM Identity Center and the message gateway. */
export type ApiProtocol = 'json' | 'query' | 'ec2' | 'rest-json';

/** An error answer of an AWS API: its code is what clients match on. */
export class AwsFault extends Error {
  override readonly name = 'AwsFault';
  readonly code: string;
  readonly httpStatus: number;
  /** Further members of a JSON error, such as `error` and `error_description` of OAuth. */
  readonly members: Readonly<Record<string, string>>;

  constructor(code: string, httpStatus: number, message: string, members: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.httpStatus = httpStatus;
    this.members = members;
  }
}

type Wording = readonly [code: string, httpStatus: number, message?: string];

/** What each protocol calls a failed signature check; without a message of its own the checker's is used. */
const AUTH_WORDING: Readonly<Record<'json' | 'query' | 'ec2', Readonly<Record<SigV4Problem, Wording>>>> = {
  json: {
    missing: ['MissingAuthenticationTokenException', 400],
    incomplete: ['IncompleteSignatureException', 400],
    'unknown-key': ['UnrecognizedClientException', 400],
    'bad-token': ['UnrecognizedClientException', 400],
    'expired-token': ['ExpiredTokenException', 400],
    skew: ['InvalidSignatureException', 400],
    mismatch: ['InvalidSignatureException', 400],
  },
  query: {
    missing: ['MissingAuthenticationToken', 403, 'Request is missing Authentication Token'],
    incomplete: ['IncompleteSignature', 400],
    'unknown-key': ['InvalidClientTokenId', 403],
    'bad-token': ['InvalidClientTokenId', 403],
    'expired-token': ['ExpiredToken', 403],
    skew: ['SignatureDoesNotMatch', 403],
    mismatch: ['SignatureDoesNotMatch', 403],
  },
  ec2: {
    missing: ['MissingParameter', 400, 'The request must contain the parameter AWSAccessKeyId'],
    incomplete: ['MalformedAuthorizationHeader', 400],
    'unknown-key': ['AuthFailure', 401, 'AWS was not able to validate the provided access credentials'],
    'bad-token': ['AuthFailure', 401, 'AWS was not able to validate the provided access credentials'],
    'expired-token': ['RequestExpired', 400, 'Request has expired.'],
    skew: ['RequestExpired', 400, 'Request has expired.'],
    mismatch: ['AuthFailure', 401, 'AWS was not able to validate the provided access credentials'],
  },
};

export function authFault(protocol: ApiProtocol, problem: SigV4Problem, message: string): AwsFault {
  const wording = AUTH_WORDING[protocol === 'rest-json' ? 'json' : protocol][problem];
  const status = protocol === 'rest-json' ? 403 : wording[1];
  return new AwsFault(wording[0], status, wording[2] ?? message);
}

/** The caller is known and may not do this. */
export function deniedFault(
  protocol: ApiProtocol,
  callerArn: string,
  action: string,
  resource: string,
  because = `because no identity-based policy allows the ${action} action`,
): AwsFault {
  const sentence = `User: ${callerArn} is not authorized to perform: ${action} on resource: ${resource} ${because}`;
  if (protocol === 'ec2') {
    const what = `You are not authorized to perform this operation. ${sentence.replace(` on resource: ${resource}`, '')}`;
    return new AwsFault('UnauthorizedOperation', 403, what);
  }
  if (protocol === 'query') return new AwsFault('AccessDenied', 403, sentence);
  // The two spellings of "message" both occur; this one has the capital.
  return new AwsFault('AccessDeniedException', protocol === 'json' ? 400 : 403, '', { Message: sentence });
}

export function throttledFault(protocol: ApiProtocol): AwsFault {
  if (protocol === 'ec2') return new AwsFault('RequestLimitExceeded', 503, 'Request limit exceeded.');
  if (protocol === 'query') return new AwsFault('Throttling', 400, 'Rate exceeded');
  if (protocol === 'json') return new AwsFault('ThrottlingException', 400, 'Rate exceeded');
  return new AwsFault('TooManyRequestsException', 429, 'Too Many Requests');
}

/** 500: the service broke down on this call. */
export function internalFault(protocol: ApiProtocol): AwsFault {
  if (protocol === 'ec2') return new AwsFault('InternalError', 500, 'An internal error has occurred');
  const message = 'The request processing has failed because of an unknown error, exception or failure.';
  if (protocol === 'query') return new AwsFault('InternalFailure', 500, message);
  return new AwsFault('InternalServerError', 500, protocol === 'json' ? 'Internal Server Error' : message);
}

/** 503: the service is not there at the moment. */
export function unavailableFault(protocol: ApiProtocol): AwsFault {
  if (protocol === 'ec2')
    return new AwsFault('Unavailable', 503, 'The server is overloaded and cannot handle the request.');
  const code = protocol === 'query' ? 'ServiceUnavailable' : 'ServiceUnavailableException';
  return new AwsFault(code, 503, 'The request has failed due to a temporary failure of the server.');
}

/** The error as it goes over the wire. */
export function faultAnswer(
  protocol: ApiProtocol,
  namespace: string | undefined,
  fault: AwsFault,
  requestId: string,
): HttpAnswer {
  if (protocol === 'ec2') {
    const Errors = { Error: { Code: fault.code, Message: fault.message } };
    const body = xmlDocument('Response', undefined, { Errors, RequestID: requestId });
    return { status: fault.httpStatus, contentType: 'text/xml;charset=UTF-8', body };
  }
  if (protocol === 'query') {
    const Type = fault.httpStatus < 500 ? 'Sender' : 'Receiver';
    const error = { Type, Code: fault.code, Message: fault.message };
    const body = xmlDocument('ErrorResponse', namespace, { Error: error, RequestId: requestId });
    return { status: fault.httpStatus, contentType: 'text/xml', body };
  }
  const message = fault.message === '' ? {} : { message: fault.message };
  const type = protocol === 'json' ? { __type: fault.code } : {};
  return {
    status: fault.httpStatus,
    contentType: protocol === 'json' ? 'application/x-amz-json-1.1' : 'application/json',
    headers: { 'x-amzn-errortype': fault.code },
    body: JSON.stringify({ ...type, ...message, ...fault.members }),
  };
}
