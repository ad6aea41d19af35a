/** What we use of Systems Manager, and nothing else, so that a bundler can leave out the rest. No logic here. */

export type { DescribeInstanceInformationCommandInput, InstanceInformation } from '@aws-sdk/client-ssm';
export {
  DescribeInstanceInformationCommand,
  GetDocumentCommand,
  ResumeSessionCommand,
  SSMClient,
  StartSessionCommand,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
