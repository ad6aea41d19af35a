/** The recorded frames and verdicts of the official Session Manager ends: test/vectors/ssm-vectors.json (docs/protocol/ssm.md, "Vectors"). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { MessageFields } from '../../src/transport/ssm/core/client-message.ts';

/** 64-bit numbers are decimal strings. */
export interface FieldsVector {
  readonly messageType: string;
  readonly schemaVersion: number;
  readonly createdDate: string;
  readonly sequenceNumber: string;
  readonly flags: string;
  readonly messageId: string;
  readonly payloadType: number;
  readonly payloadHex: string;
}

export interface OfficialVerdict {
  readonly outcome: 'parsed' | 'error' | 'panic';
  readonly validate?: string;
  readonly detail?: string;
  readonly fields?: FieldsVector & { readonly headerLength: number; readonly payloadLength: number };
}

export interface MessageVector {
  readonly name: string;
  readonly fields: FieldsVector;
  /** Absent where both official serialisers refuse. */
  readonly hex?: string;
  readonly payloadDigest?: string;
  readonly serializeError?: string;
  readonly client?: OfficialVerdict;
  readonly agent?: OfficialVerdict;
}

export interface MalformedVector {
  readonly name: string;
  readonly note?: string;
  readonly hex: string;
  readonly client: OfficialVerdict;
  readonly agent: OfficialVerdict;
}

export interface JsonVector {
  readonly name: string;
  readonly producer: 'client' | 'agent';
  readonly json: string;
}

export interface SealedVector {
  readonly direction: 'client-to-agent' | 'agent-to-client';
  readonly keyHex: string;
  readonly nonceHex: string;
  readonly plaintextHex: string;
  readonly sealedHex: string;
}

export interface SmuxFrameVector {
  readonly dir: 'client' | 'server';
  readonly version: number;
  readonly cmd: number;
  readonly cmdName: 'SYN' | 'FIN' | 'PSH' | 'NOP' | 'UPD';
  readonly length: number;
  readonly streamId: number;
  readonly headerHex: string;
  readonly frameHex?: string;
  /** `payload is 32768 bytes of 0x5a` where the frame is too long to print. */
  readonly note?: string;
}

export interface TaskVector {
  readonly name: string;
  readonly payload: string;
  readonly content: string;
  readonly hex: string;
  readonly agentParses?: { readonly pluginName: string; readonly sessionId: string };
  readonly agentError?: string;
}

export interface TranscriptFrame {
  readonly ms: number;
  readonly from: 'client' | 'agent';
  readonly kind: string;
  readonly text?: string;
  readonly hex?: string;
  readonly summary?: {
    readonly messageType: string;
    readonly sequenceNumber: string;
    readonly flags: string;
    readonly payloadType?: number;
    readonly payloadText?: string;
    readonly payloadHex?: string;
  };
}

export interface Transcript {
  readonly name: string;
  readonly client: 'official' | 'independent';
  readonly dataKeyHex?: string;
  readonly frames: readonly TranscriptFrame[];
}

export interface SsmVectors {
  readonly messages: readonly MessageVector[];
  readonly malformed: readonly MalformedVector[];
  readonly uuidOrder: readonly { readonly uuid: string; readonly wireHex: string }[];
  readonly json: readonly JsonVector[];
  readonly aesGcm: readonly SealedVector[];
  readonly kms: {
    readonly client: {
      readonly clientDecryptKeyHex: string;
      readonly clientEncryptKeyHex: string;
      readonly encryptionContext: Readonly<Record<string, string>>;
      readonly keyId: string;
      readonly numberOfBytes: number;
      readonly plaintextHex: string;
    };
    readonly agent: {
      readonly decryptEncryptionContext: Readonly<Record<string, string>>;
      readonly decryptKeyId: string;
      readonly randomChallenge: string;
    };
  };
  readonly retransmission: readonly {
    readonly steps: readonly {
      readonly sampleMs: number;
      readonly rttNs: number;
      readonly rttVarNs: number;
      readonly rtoNs: number;
    }[];
  }[];
  readonly reconnectDelays: readonly { readonly initialDelayMs: number; readonly delaysMs: readonly number[] }[];
  readonly versionGates: {
    readonly clientJudgesAgent: readonly {
      readonly agentVersion: string;
      readonly mux: boolean;
      readonly smuxKeepAliveDisabled: boolean;
      readonly terminateSessionFlag: boolean;
    }[];
    readonly agentJudgesClient: readonly {
      readonly clientVersion: string;
      readonly agentUsesMux: boolean;
      readonly agentSmuxKeepAliveDisabled: boolean;
      readonly tooOldForSeparateOutput: boolean;
    }[];
  };
  readonly smux: {
    readonly defaults: Readonly<Record<string, number | boolean>>;
    readonly library: string;
    readonly scenarios: readonly {
      readonly name: string;
      readonly smuxVersion: number;
      readonly frames: readonly SmuxFrameVector[];
    }[];
    readonly receiver: readonly { readonly name: string; readonly hex: string; readonly result: string }[];
  };
  readonly controlChannelTasks: readonly TaskVector[];
  readonly transcripts: readonly Transcript[];
}

const file = join(import.meta.dirname, '..', 'vectors', 'ssm-vectors.json');

/** Everything in the file, `format` and `about` included. */
export const allSsmVectors = JSON.parse(readFileSync(file, 'utf8')) as SsmVectors & Readonly<Record<string, unknown>>;

/** One group of the vectors. The coverage test looks for these calls, so name the group literally. */
export function ssmVectors<Group extends keyof SsmVectors>(group: Group): SsmVectors[Group] {
  return allSsmVectors[group];
}

/** Prints how many vectors of a group were run, and fails when some were not. */
export function reportVectors(t: TestContext, group: keyof SsmVectors, run: number, of: number): void {
  t.diagnostic(`${run} of ${of} vectors of ${group} run`);
  t.assert.equal(run, of, `vectors of ${group} that were not run`);
}

export const unhex = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** The fields of a vector as the codec knows them. */
export function fieldsOf(vector: FieldsVector): MessageFields {
  return {
    messageType: vector.messageType,
    schemaVersion: vector.schemaVersion,
    createdDate: BigInt(vector.createdDate),
    sequenceNumber: BigInt(vector.sequenceNumber),
    flags: BigInt(vector.flags),
    messageId: vector.messageId,
    payloadType: vector.payloadType,
    payload: unhex(vector.payloadHex),
  };
}
