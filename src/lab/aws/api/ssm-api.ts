import type { ApiContext, JsonService } from './api-service.ts';
import { ssmDocumentChanges } from './ssm-document-changes.ts';
import { ssmDocumentOperations } from './ssm-documents.ts';
import { ssmInstanceOperations } from './ssm-instances.ts';
import { ssmSessionOperations } from './ssm-sessions.ts';

export function ssmApi(context: ApiContext): JsonService {
  return {
    name: 'ssm',
    protocol: 'json',
    targetPrefix: 'AmazonSSM',
    operations: {
      ...ssmSessionOperations(context),
      ...ssmInstanceOperations(context),
      ...ssmDocumentOperations(context),
      ...ssmDocumentChanges(context),
    },
  };
}
