/** The SDK's HTTP side. No logic here. */
export { NodeHttpHandler } from '@smithy/node-http-handler';
