/** What we use of CloudWatch Logs, and nothing else, so that a bundler can leave out the rest. No logic here. */

export { CloudWatchLogsClient, CreateLogStreamCommand, PutLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
