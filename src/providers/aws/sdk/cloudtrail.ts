/** What we use of CloudTrail, and nothing else, so that a bundler can leave out the rest. No logic here. */

export { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
