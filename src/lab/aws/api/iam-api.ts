import type { ApiContext, QueryService } from './api-service.ts';
import { iamEntityOperations } from './iam-entities.ts';
import { iamPolicyOperations } from './iam-policies.ts';
import { simulatePrincipalPolicy } from './iam-simulation.ts';

/** The part of IAM that grants are made of: managed and inline policies, whom they are attached to, tags, and the simulator. */
export function iamApi(context: ApiContext): QueryService {
  return {
    name: 'iam',
    protocol: 'query',
    version: '2010-05-08',
    namespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
    operations: {
      ...iamPolicyOperations(context),
      ...iamEntityOperations(context),
      SimulatePrincipalPolicy: simulatePrincipalPolicy(context),
    },
  };
}
