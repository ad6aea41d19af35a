import { PROVIDER_IDS, type ProviderId } from './target.ts';

/** `gcp:web-1` is the cloud gcp and the TARGET `web-1` there; without a cloud prefix the text is as it was (spec section 3). */
export function splitCloudPrefix(text: string): { readonly cloud?: ProviderId; readonly text: string } {
  const cloud = PROVIDER_IDS.find((id) => text.startsWith(`${id}:`));
  return cloud === undefined ? { text } : { cloud, text: text.slice(cloud.length + 1) };
}
