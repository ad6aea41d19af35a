import { asCloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { type MachineTarget, targetLabel } from '../domain/target.ts';
import type { Logins, SshLogin } from '../providers/provider.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { hostUser } from '../runtime/host-user.ts';
import type { World } from '../runtime/world.ts';
import type { ClientLogin, ClientLoginListener } from './client-login.ts';
import { type EphemeralKey, ephemeralKey } from './ephemeral-key.ts';
import type { AgentKey } from './login-agent.ts';

/** Taking a key back is a call to a cloud that may be out of reach; it ends by itself. */
const WITHDRAW_WITHIN: Millis = 3_000;
/** A key that ends sooner is let in again before it is offered. */
const USABLE_FOR: Millis = 10_000;
/** After a signature ssh is logged in, or was refused; what it may still ask has come by then (guessed). */
const WITHDRAW_AFTER: Millis = 5_000;

/** A key of this process, let in when it is asked for, and taken back soon after it was used. */
export class AdmittedKey implements AgentKey {
  readonly comment: string;
  readonly blob: Buffer;
  readonly #world: World;
  readonly #logins: Logins;
  readonly #machine: MachineTarget;
  readonly #user: string;
  readonly #isChosen: boolean;
  readonly #listener: ClientLoginListener;
  readonly #signal: AbortSignal;
  readonly #key: EphemeralKey;
  #login: Promise<SshLogin | undefined> | undefined;
  #hasTold = false;

  constructor(
    world: World,
    logins: Logins,
    machine: MachineTarget,
    { user, isChosen }: Pick<ClientLogin, 'user' | 'isChosen'>,
    listener: ClientLoginListener,
    signal: AbortSignal,
  ) {
    this.#world = world;
    this.#logins = logins;
    this.#machine = machine;
    this.#user = user;
    this.#isChosen = isChosen;
    this.#listener = listener;
    this.#signal = signal;
    this.comment = `cloudtun ${targetLabel(machine)}`;
    this.#key = ephemeralKey();
    this.blob = Buffer.from(this.#key.publicKey.split(' ')[1]!, 'base64');
  }

  async admitted(): Promise<boolean> {
    const before = await this.#login;
    if (before === undefined || before.expiresAt - USABLE_FOR < this.#world.clock.wall()) this.#login = this.#admit();
    return (await this.#login) !== undefined;
  }

  sign(data: Buffer): Buffer {
    this.#world.clock.after(WITHDRAW_AFTER, () => void this.withdraw(), { background: true });
    return this.#key.sign(data);
  }

  /** Never rejects. The next one who asks has it let in again. */
  async withdraw(): Promise<void> {
    const login = await this.#login;
    this.#login = undefined;
    if (login === undefined) return;
    try {
      await withDeadline(this.#world.clock, WITHDRAW_WITHIN, async (signal) => {
        await this.#logins.withdrawKey?.(this.#machine, this.#key.publicKey, signal);
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#world.log.info(`the key of this login could not be taken back, and ends by itself: ${why}`);
    }
  }

  async #admit(): Promise<SshLogin | undefined> {
    try {
      const login = await this.#logins.admitKey(this.#machine, this.#user, this.#key.publicKey, this.#signal);
      const isFirst = !this.#hasTold;
      this.#hasTold = true;
      if (isFirst) await this.#tellOtherUser(login.user);
      // Where the machine hears of it by itself: ssh does not try again.
      const [pause] = login.retryAfter ?? [];
      if (isFirst && pause !== undefined) await this.#world.clock.sleep(pause, this.#signal);
      return login;
    } catch (thrown) {
      if (!this.#signal.aborted && !this.#hasTold) {
        const { message, code, details, hints } = asCloudtunError(thrown);
        this.#listener.note(`warning: no key was let in: ${message} (${code})`);
        for (const [label, text] of details) this.#listener.note(`  ${label}   ${text}`);
        for (const hint of hints) this.#listener.note(`  ${hint}`);
        this.#hasTold = true;
      }
      return undefined;
    }
  }

  /** ssh sends the name of the person on this machine when nobody names another one, and that is seldom the right one. */
  async #tellOtherUser(admitted: string): Promise<void> {
    const user = this.#user;
    const isDefault = user === hostUser().user && !this.#isChosen;
    const right =
      admitted !== user || !isDefault ? admitted : (await this.#logins.guessUser(this.#machine, this.#signal)).user;
    if (right !== user) {
      this.#listener.note(
        `logging in as ${user}, and ${targetLabel(this.#machine)} rather knows ${right}: ssh -l ${right} …`,
      );
    }
  }
}
