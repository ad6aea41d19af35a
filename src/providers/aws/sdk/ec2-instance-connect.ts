/** What we use of EC2 Instance Connect, and nothing else, so that a bundler can leave out the rest. No logic here. */

export { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from '@aws-sdk/client-ec2-instance-connect';
