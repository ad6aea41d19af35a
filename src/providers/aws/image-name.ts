import { CloudtunError } from '../../domain/errors.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';

/** What EC2 says when a machine or its image is not there (any more). */
const GONE = /^Invalid(InstanceID|AMIID)\./;

/**
 * The name of the image that a machine was made of, `ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-…`; undefined where it cannot be
 * known: no EC2 instance, an image that is gone or private to somebody else, no permission to look.
 */
export async function imageName(api: AwsApi, instanceId: string, signal: AbortSignal): Promise<string | undefined> {
  if (!instanceId.startsWith('i-')) return undefined;
  try {
    const machines = { action: 'ec2:DescribeInstances', doing: 'look up machines' };
    const imageId = await api.ec2(machines, signal, async (sdk, client, options) => {
      const answer = await client.send(new sdk.DescribeInstancesCommand({ InstanceIds: [instanceId] }), options);
      return answer.Reservations?.[0]?.Instances?.[0]?.ImageId;
    });
    if (imageId === undefined) return undefined;
    const images = { action: 'ec2:DescribeImages', doing: 'look up images' };
    return await api.ec2(images, signal, async (sdk, client, options) => {
      const answer = await client.send(new sdk.DescribeImagesCommand({ ImageIds: [imageId] }), options);
      return answer.Images?.[0]?.Name;
    });
  } catch (error) {
    signal.throwIfAborted();
    const isDenied = error instanceof CloudtunError && error.code === 'CT_DENIED';
    if (isDenied || GONE.test(awsErrorName(error) ?? '')) return undefined;
    throw error;
  }
}
