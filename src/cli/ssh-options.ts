import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { OWN_SSH_HINT } from './own-ssh-hint.ts';
import { noCertificates } from './ssh-credentials.ts';

/*
 * `-o Name=value` of ssh (ssh_config(5)), as far as it has a meaning for this client. Names in any case, `=` or a space after them, and
 * of an option that is given twice the first counts, as there. What this client does not do is refused, and never passed over.
 */

/** What the options say; undefined where none spoke. */
export interface SshOptions {
  readonly user?: string;
  readonly port?: number;
  readonly identityFiles: readonly string[];
  /** Yes, no, or the socket of an agent. */
  readonly forwardAgent?: boolean | string;
  readonly tty?: 'no' | 'yes' | 'force' | 'auto';
  /** In the spelling of the flags. */
  readonly localForwards: readonly string[];
  readonly remoteForwards: readonly string[];
  readonly dynamicForwards: readonly string[];
  readonly exitOnForwardFailure?: boolean;
  readonly hasNoSession?: boolean;
  readonly connectTimeout?: Millis;
  readonly keepAliveInterval?: Millis;
  readonly keepAliveCount?: number;
  readonly variables: Readonly<Record<string, string>>;
  /** Patterns of variables to pass on. */
  readonly passedVariables: readonly string[];
  readonly hostKeys?: 'accept-new' | 'strict';
  /** The code of a character, or none at all. */
  readonly escapeWith?: number | 'none';
}

type Mutable = { -readonly [Key in keyof SshOptions]: SshOptions[Key] } & {
  identityFiles: string[];
  localForwards: string[];
  remoteForwards: string[];
  dynamicForwards: string[];
  variables: Record<string, string>;
  passedVariables: string[];
};

/** @throws CT_USAGE that names the option, and what to do instead */
export function parseSshOptions(texts: readonly string[]): SshOptions {
  const found: Mutable = {
    identityFiles: [],
    localForwards: [],
    remoteForwards: [],
    dynamicForwards: [],
    variables: {},
    passedVariables: [],
  };
  for (const text of texts) take(found, text);
  return found;
}

function take(found: Mutable, text: string): void {
  const [, name = '', rest = ''] = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*$/s.exec(text) ?? [];
  const value = /^"[^"]*"$/.test(rest) ? rest.slice(1, -1) : rest;
  if (name === '' || value === '') {
    throw new CloudtunError('CT_USAGE', `-o "${text}" is not an option`, { hint: 'write it as -o Name=value' });
  }
  const key = name.toLowerCase();
  const reader = READERS[key];
  if (reader) reader(found, value, name);
  else if (!isHarmless(key, value)) throw ELSEWHERE.has(key) ? elsewhere(name) : unknownOption(name);
}

type Reader = (found: Mutable, value: string, name: string) => void;

const READERS: Readonly<Record<string, Reader>> = {
  user: (found, value) => {
    found.user ??= value;
  },
  port: (found, value, name) => {
    found.port ??= wholeNumber(name, value, 1, 65_535);
  },
  identityfile: (found, value) => {
    if (value !== 'none') found.identityFiles.push(value);
  },
  forwardagent: (found, value, name) => {
    const socket = /^[/$~]/.test(value) ? value : undefined;
    found.forwardAgent ??= socket ?? yesOrNo(name, value);
  },
  requesttty: (found, value, name) => {
    found.tty ??= oneOf(name, value, ['no', 'yes', 'force', 'auto']);
  },
  localforward: (found, value) => void found.localForwards.push(value.replace(/\s+/, ':')),
  remoteforward: (found, value) => void found.remoteForwards.push(value.replace(/\s+/, ':')),
  dynamicforward: (found, value) => void found.dynamicForwards.push(value),
  exitonforwardfailure: (found, value, name) => {
    found.exitOnForwardFailure ??= yesOrNo(name, value);
  },
  sessiontype: (found, value, name) => {
    found.hasNoSession ??= oneOf(name, value, ['none', 'default']) === 'none';
  },
  connecttimeout: (found, value, name) => {
    if (value !== 'none') found.connectTimeout ??= seconds(name, value);
  },
  serveraliveinterval: (found, value, name) => {
    found.keepAliveInterval ??= seconds(name, value);
  },
  serveralivecountmax: (found, value, name) => {
    found.keepAliveCount ??= wholeNumber(name, value, 0, 1_000);
  },
  certificatefile: (_found, value) => {
    throw noCertificates(value);
  },
  setenv: (found, value, name) => {
    for (const [, variable, plain, quoted] of value.matchAll(/([A-Za-z_]\w*)=(?:"([^"]*)"|(\S*))/g)) {
      found.variables[variable!] ??= plain ?? quoted ?? '';
    }
    if (!/^\s*[A-Za-z_]\w*=/.test(value)) throw badValue(name, value, 'NAME=value');
  },
  sendenv: (found, value) => void found.passedVariables.push(...value.split(/\s+/)),
  stricthostkeychecking: (found, value, name) => {
    if (/^(no|off)$/i.test(value)) {
      throw new CloudtunError('CT_USAGE', `${name}=${value} would log in to whoever answers, and is not there`, {
        hint: 'accept-new (the default) trusts a machine that was never seen; for one that has a new key: --forget-host-key',
      });
    }
    found.hostKeys ??= oneOf(name, value, ['accept-new', 'yes', 'ask']) === 'yes' ? 'strict' : 'accept-new';
  },
  escapechar: (found, value, name) => {
    found.escapeWith ??= escapeOf(name, value);
  },
};

/** What says no more than what this client does anyway. */
const HARMLESS: Readonly<Record<string, RegExp>> = {
  addressfamily: /^any$/i,
  batchmode: /^(yes|no)$/i,
  checkhostip: /^(yes|no)$/i,
  clearallforwardings: /^no$/i,
  compression: /^no$/i,
  controlmaster: /^no$/i,
  controlpath: /^none$/i,
  forwardx11: /^no$/i,
  gatewayports: /^no$/i,
  gssapiauthentication: /^no$/i,
  hashknownhosts: /^(yes|no)$/i,
  hostbasedauthentication: /^no$/i,
  identitiesonly: /^(yes|no)$/i,
  kbdinteractiveauthentication: /^no$/i,
  loglevel: /./,
  passwordauthentication: /^no$/i,
  permitlocalcommand: /^no$/i,
  proxycommand: /^none$/i,
  proxyjump: /^none$/i,
  pubkeyauthentication: /^yes$/i,
  tcpkeepalive: /^(yes|no)$/i,
  updatehostkeys: /^(yes|no|ask)$/i,
  visualhostkey: /^no$/i,
};

function isHarmless(key: string, value: string): boolean {
  return HARMLESS[key]?.test(value) === true;
}

/** Other options of ssh_config(5), OpenSSH 10. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...Object.keys(HARMLESS),
  ...(
    'addkeystoagent bindaddress bindinterface canonicaldomains canonicalizefallbacklocal canonicalizehostname ' +
    'canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms channeltimeout ciphers controlpersist ' +
    'enableescapecommandline enablesshkeysign fingerprinthash forkafterauthentication forwardx11timeout forwardx11trusted ' +
    'globalknownhostsfile gssapidelegatecredentials hostbasedacceptedalgorithms hostkeyalgorithms hostkeyalias hostname ' +
    'identityagent ignoreunknown ipqos kbdinteractivedevices kexalgorithms knownhostscommand localcommand logverbose macs ' +
    'nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming permitremoteopen pkcs11provider ' +
    'preferredauthentications proxyusefdpass pubkeyacceptedalgorithms refuseconnection rekeylimit remotecommand requiredrsasize ' +
    'revokedhostkeys securitykeyprovider stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag tunnel ' +
    'tunneldevice userknownhostsfile verifyhostkeydns warnweakcrypto xauthlocation'
  ).split(' '),
]);

function elsewhere(name: string): CloudtunError {
  const isJump = name.toLowerCase() === 'proxyjump';
  return new CloudtunError('CT_USAGE', `${name} is an option of ssh that this client does not have`, {
    hint: isJump ? 'go through other machines with -J, here as well' : OWN_SSH_HINT,
  });
}

function unknownOption(name: string): CloudtunError {
  return new CloudtunError('CT_USAGE', `ssh has no option ${name}`, { hint: 'see: man ssh_config' });
}

function badValue(name: string, value: string, wanted: string): CloudtunError {
  return new CloudtunError('CT_USAGE', `-o ${name}=${value} cannot be used`, { hint: `write ${wanted}` });
}

function yesOrNo(name: string, value: string): boolean {
  return oneOf(name, value, ['yes', 'no', 'true', 'false']).match(/yes|true/) !== null;
}

function oneOf<Word extends string>(name: string, value: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === value.toLowerCase());
  if (word !== undefined) return word;
  throw badValue(name, value, words.join(', '));
}

function wholeNumber(name: string, value: string, least: number, most: number): number {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw badValue(name, value, `a number from ${least} to ${most}`);
}

/** `30`, `5m`, `1h30m`: ssh counts seconds where no unit is given. */
function seconds(name: string, value: string): Millis {
  const parts = [...value.matchAll(/(\d{1,9})([smhdw]?)/gi)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== value)
    throw badValue(name, value, '30, 5m or 1h30m');
  return parts.reduce(
    (sum, [, number, unit = '']) => sum + Number(number) * (UNIT[unit.toLowerCase()] ?? 1) * 1_000,
    0,
  );
}

const UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** `~`, `^B`, `none` */
function escapeOf(name: string, value: string): number | 'none' {
  if (value === 'none') return 'none';
  const control = /^\^([@-_a-z])$/.exec(value)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  if (/^[\x20-\x7e]$/.test(value)) return value.charCodeAt(0);
  throw badValue(name, value, 'one character, ^ and a letter, or none');
}
