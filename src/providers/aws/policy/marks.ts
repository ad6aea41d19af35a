import { createHash } from 'node:crypto';
import type { JsonValue } from '../../policy-author.ts';

/*
 * How cloudtun knows again what it made. Tags say for which catalogue; whatever has none of them is another one's, and stays as it is.
 */

/** The catalogue by its name. */
export const OWNER_TAG = 'cloudtun:catalogue';
export const TEAM_TAG = 'cloudtun:team';
export const SUBJECT_TAG = 'cloudtun:target';

export type Tags = Readonly<Record<string, string>>;

/** Content of a resource of the kind `document`. */
export interface DocumentContent {
  readonly document: JsonValue;
  readonly tags: Tags;
}

/** Content of a resource of the kind `policy`. */
export interface PolicyContent {
  readonly policy: JsonValue;
  readonly tags: Tags;
}

/** Content of a resource of the kind `attachment`. */
export interface AttachmentContent {
  readonly kind: string;
  readonly name: string;
  readonly policy: string;
}

/** Our own tags; others may put theirs beside them. */
export function ownTags(
  tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] = [],
): Tags {
  return Object.fromEntries(
    tags.flatMap(({ Key, Value = '' }) => (Key?.startsWith('cloudtun:') ? [[Key, Value] as const] : [])),
  );
}

/** A name as the value of a tag: letters, digits, spaces and a few signs, 256 characters at most. */
export const tagValue = (text: string) => text.replaceAll(/[^\p{L}\p{Z}\p{N}_.:/=+@-]/gu, '_').slice(0, 256);

export const tagList = (tags: Tags) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** The same JSON has the same text, whatever the order of its members was. */
export function stableText(value: JsonValue): string {
  return JSON.stringify(value, (_key, each: JsonValue) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [two]) => (one < two ? -1 : 1)))
      : each,
  );
}

/**
 * The name of a document's version: of its content, so that it is written in one call with it. One that somebody else wrote has no such
 * name, or one that does not fit.
 */
export const versionName = (document: JsonValue) =>
  `cloudtun-${createHash('sha256').update(stableText(document)).digest('hex').slice(0, 16)}`;
