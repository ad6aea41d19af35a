/*
 * Names that a listing gives, of a server that may lie: a name is one component and nothing else, so that what is joined of a folder
 * and a name lies in that folder. What a name looks like on a terminal is not decided here.
 */

/** Reserved on Windows, beside control characters. */
const WINDOWS_RESERVED = /[<>:"/\\|?*]/;

/** Whether a name of a listing may be joined to a folder of this system. @param platform as Node names it; `linux` for SFTP paths */
export function isSafeName(name: string, platform: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return false;
  return platform !== 'win32' || !WINDOWS_RESERVED.test(name);
}

/** Longest name of a file that common file systems take, in bytes. */
const LONGEST_NAME = 255;
const SUFFIX = '.cloudtun-part';

/**
 * What a file is called while it arrives: `.report.csv.cloudtun-part`, the same at every try, so that another one can go on with it.
 * A long name is cut; two of a folder that begin alike in their first 200 bytes then differ by a digest.
 */
export function partialName(name: string, digest: (text: string) => string): string {
  const whole = `.${name}${SUFFIX}`;
  if (Buffer.byteLength(whole) <= LONGEST_NAME) return whole;
  // Cut between characters: half of one is a name that some file systems refuse.
  const head = Buffer.from(name)
    .subarray(0, 200)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
  return `.${head}-${digest(name).slice(0, 16)}${SUFFIX}`;
}
