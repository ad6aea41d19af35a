import type { ApiService, JsonService, QueryService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { QueryParameters } from './query-parameters.ts';

/** Which service and operation a request means. */
export type Route =
  | { readonly kind: 'json'; readonly service: JsonService; readonly operation: string }
  | {
      readonly kind: 'query';
      readonly service: QueryService;
      readonly operation: string;
      readonly input: QueryParameters;
    }
  /** A service that the lab does not play, or no API call at all. */
  | { readonly kind: 'unknown'; readonly what: string };

/**
 * AWS has a host name for each service; the lab has one port for all, so the target header or the version and action tell which one is
 * meant. The signature is then checked to be for that service.
 */
export function routeCall(
  services: readonly ApiService[],
  request: { readonly target: string | undefined; readonly form: string; readonly claimedService: string | undefined },
): Route {
  if (request.target !== undefined) {
    const [prefix, operation = ''] = request.target.split('.');
    for (const service of services) {
      if (service.protocol === 'json' && service.targetPrefix === prefix) return { kind: 'json', service, operation };
    }
    return { kind: 'unknown', what: request.target };
  }
  const input = new QueryParameters(request.form);
  const operation = input.get('Action');
  if (operation === undefined) return { kind: 'unknown', what: request.claimedService ?? 'the request' };
  const version = input.get('Version');
  for (const service of services) {
    if (service.protocol === 'json' || service.version !== version) continue;
    return { kind: 'query', service, operation, input };
  }
  return { kind: 'unknown', what: `${request.claimedService ?? ''} ${operation} ${version ?? ''}`.trim() };
}

export function unknownOperation(service: ApiService, operation: string): AwsFault {
  if (service.protocol === 'json') return new AwsFault('UnknownOperationException', 400, '');
  if (service.protocol === 'ec2') {
    return new AwsFault('InvalidAction', 400, `The action ${operation} is not valid for this web service.`);
  }
  return new AwsFault('InvalidAction', 400, `Could not find operation ${operation} for version ${service.version}`);
}
