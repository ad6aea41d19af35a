import type { Socket } from 'node:net';
import {
  encodePacket,
  MAX_PAYLOAD_LENGTH,
  type MysqlPacket,
  MysqlPacketReader,
} from '../../forward/core/mysql-packets.ts';
import type { Clock } from '../../runtime/clock.ts';
import { MysqlError } from './mysql-result.ts';

/** The client is gone: whatever is being done for it ends here. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Longest statement; what the lab states as max_allowed_packet. */
const MAX_REQUEST_LENGTH = 1_048_576;
/** Rows are gathered to pieces of this size, so that a large result needs few writes and no memory. */
const BATCH_LENGTH = 65_536;

/** A socket that speaks in MySQL packets and keeps their sequence numbers. */
export class PacketSocket {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #incoming: AsyncIterator<MysqlPacket>;
  #sequence = 0;
  #batch: Buffer[] = [];
  #batchLength = 0;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#incoming = packetsOf(socket);
  }

  /**
   * The next packet of the client; undefined when it closed. What is sent next continues its sequence.
   *
   * @throws CT_PROTO_FRAME when a packet claims more than 1 MiB
   */
  async next(): Promise<Buffer | undefined> {
    const { done, value } = await this.#incoming.next();
    if (done) return undefined;
    this.#sequence = value.sequence + 1;
    return value.payload;
  }

  /** Adds a packet to what is sent with the next `flush`. */
  put(payload: Buffer): void {
    if (payload.length > MAX_PAYLOAD_LENGTH) {
      throw new MysqlError(1153, '08S01', "Got a packet bigger than 'max_allowed_packet' bytes");
    }
    const packet = encodePacket(this.#sequence, payload);
    this.#sequence += 1;
    this.#batch.push(packet);
    this.#batchLength += packet.length;
  }

  /** Adds a packet of a long answer: sends what there is when it is enough, and lets others have their turn. */
  async putMany(payload: Buffer): Promise<void> {
    this.put(payload);
    if (this.#batchLength < BATCH_LENGTH) return;
    await this.flush();
    await new Promise<void>((resolve) => this.#clock.soon(resolve));
  }

  /** Sends what was put; resolves when the client has room for more. @throws ClientGone */
  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#batch, this.#batchLength);
    this.#batch = [];
    this.#batchLength = 0;
    if (this.#socket.destroyed || this.#socket.writableEnded) throw new ClientGone();
    if (this.#socket.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (call: () => void) => () => {
        this.#socket.off('drain', onDrain);
        this.#socket.off('close', onClose);
        call();
      };
      const onDrain = settle(resolve);
      const onClose = settle(() => reject(new ClientGone()));
      this.#socket.once('drain', onDrain);
      this.#socket.once('close', onClose);
    });
  }

  async send(...payloads: readonly Buffer[]): Promise<void> {
    for (const payload of payloads) this.put(payload);
    await this.flush();
  }
}

/** Packets one by one, read no faster than they are asked for. Ends with the connection, however that ends. */
async function* packetsOf(socket: Socket): AsyncGenerator<MysqlPacket, void> {
  const reader = new MysqlPacketReader(MAX_REQUEST_LENGTH);
  const chunks = socket.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    // A reset is an end like any other here.
    const chunk = await chunks.next().catch(() => undefined);
    if (!chunk || chunk.done) return;
    yield* reader.receive(chunk.value);
  }
}
