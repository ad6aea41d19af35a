/** The SDK's standard credential chain. No logic here. */
export { type DefaultProviderInit, defaultProvider } from '@aws-sdk/credential-provider-node';
