import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';

export interface CopyOptions {
  /** Folders, with everything in them. */
  readonly isRecursive: boolean;
  /** Permissions and times as at the source. */
  readonly preserves: boolean;
  /** Goes on where an earlier copy stopped, and leaves out what is there. */
  readonly resumes: boolean;
  /** Reads both sides again afterwards. */
  readonly verifies: boolean;
}

/** A file, as far as it has come. Paths are for people. */
export interface FileProgress {
  readonly from: string;
  readonly to: string;
  /** `checking`: digests are computed, of so many bytes. */
  readonly doing: 'copying' | 'checking';
  /** Bytes that have arrived, those of an earlier copy included. */
  readonly done: number;
  /** Undefined for a file that does not tell its size. */
  readonly total: number | undefined;
}

/** What became of a file, or of something that could not be one. */
export interface CopiedFile {
  readonly from: string;
  readonly to: string;
  /** `there`: it was already, and was left as it is. */
  readonly outcome: 'copied' | 'there' | 'failed';
  /** Of the file; 0 when it failed. */
  readonly byteCount: number;
  /** How many of them came this time. */
  readonly movedByteCount: number;
  readonly duration: Millis;
  /** Hex; of what was verified. */
  readonly sha256?: string;
  readonly error?: CloudtunError;
  /** What a person should know although it was copied. */
  readonly remarks: readonly string[];
}

export interface CopyListener {
  readonly onProgress: (file: FileProgress) => void;
  readonly onFile: (file: CopiedFile) => void;
}

/** Files, folders aside. */
export interface CopyReport {
  readonly copied: number;
  readonly there: number;
  readonly failed: number;
  /** That went over the wire. */
  readonly movedByteCount: number;
  /** The first one. */
  readonly failure: CloudtunError | undefined;
}
