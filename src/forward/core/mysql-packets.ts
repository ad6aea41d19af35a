import { CloudtunError } from '../../domain/errors.ts';

/**
 * The framing of the MySQL client/server protocol (MySQL internals manual, "MySQL Packets"), in memory. Every packet is
 *
 *     0  3  payload length, little-endian
 *     3  1  sequence number; counts up within one exchange, starts again at 0 with every command
 *     4  n  payload
 *
 * Left out: payloads of 16 MiB and more (which continue in a next packet) and compression. Neither a handshake nor the lab needs them.
 */
const HEADER_LENGTH = 4;

/** The longest payload a single packet can carry; a packet of exactly this length would be continued. */
export const MAX_PAYLOAD_LENGTH = 0xff_ff_fe;

export interface MysqlPacket {
  readonly sequence: number;
  readonly payload: Buffer;
}

/** One packet as it goes onto the wire. */
export function encodePacket(sequence: number, payload: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(HEADER_LENGTH + payload.length);
  packet.writeUIntLE(payload.length, 0, 3);
  packet[3] = sequence & 0xff;
  packet.set(payload, HEADER_LENGTH);
  return packet;
}

/** Cuts a byte stream into packets, however it was split. Holds at most one incomplete packet. */
export class MysqlPacketReader {
  readonly #maxLength: number;
  #held: Buffer = Buffer.alloc(0);

  /** @param maxLength the longest payload that is waited for */
  constructor(maxLength: number) {
    this.#maxLength = Math.min(maxLength, MAX_PAYLOAD_LENGTH);
  }

  /**
   * Takes bytes and gives the packets that are now complete.
   *
   * @throws CT_PROTO_FRAME as soon as a header claims more than the bound, before anything of it is held
   */
  receive(bytes: Uint8Array): MysqlPacket[] {
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    const packets: MysqlPacket[] = [];
    while (this.#held.length >= HEADER_LENGTH) {
      const length = this.#held.readUIntLE(0, 3);
      if (length > this.#maxLength) {
        throw new CloudtunError(
          'CT_PROTO_FRAME',
          `a MySQL packet claims ${length} bytes; at most ${this.#maxLength} fit here`,
        );
      }
      if (this.#held.length < HEADER_LENGTH + length) break;
      packets.push({
        sequence: this.#held[3]!,
        payload: this.#held.subarray(HEADER_LENGTH, HEADER_LENGTH + length),
      });
      this.#held = this.#held.subarray(HEADER_LENGTH + length);
    }
    return packets;
  }
}
