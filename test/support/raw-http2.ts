import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";

export interface RawReply {
  /** gRPC status; -1 when the stream ended without one. */
  readonly code: number;
  readonly details: string;
  /** Undefined where not even headers came. */
  readonly httpStatus: number | undefined;
  /** HTTP/2 error code with which the stream ended; 0 is none. */
  readonly reset: number;
  /** Whether anything of a message came before the end. */
  readonly answered: boolean;
}

/** A gRPC frame: a flag, the length, the message. Flag and length may lie. */
export function frame(message: Uint8Array, { flag = 0, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** A connection below gRPC, which sends whatever a test says. */
export class RawConnection {
  readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on("error", () => {});
  }

  /** @param bundle absent on the enrolment port */
  static open(port: number, bundle?: TlsBundle): Promise<RawConnection> {
    const tls = bundle === undefined ? {} : { ca: bundle.caPem, cert: bundle.certPem, key: bundle.keyPem };
    const session = connect(`https://localhost:${port}`, {
      ...tls,
      rejectUnauthorized: bundle !== undefined,
      // In MB: an attacker does not mind how much it has waiting.
      maxSessionMemory: 1024,
    });
    return new Promise((resolve, reject) => {
      session.once("error", reject);
      session.once("connect", () => resolve(new RawConnection(session)));
    });
  }

  get closed(): boolean {
    return this.session.closed || this.session.destroyed;
  }

  begin(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const usual = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = this.session.request({ ...usual, ...headers });
    stream.on("error", () => {});
    return stream;
  }

  /** Sends these bytes as the call's body. */
  call(path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<RawReply> {
    return this.#send(body, this.begin(path, headers));
  }

  /** The same for a call that may answer without end: it is left this long after the first of its answers. */
  listen(path: string, body: Uint8Array, forMs: number): Promise<RawReply> {
    const stream = this.begin(path);
    stream.once("data", () => setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), forMs));
    return this.#send(body, stream);
  }

  #send(body: Uint8Array, stream: ClientHttp2Stream): Promise<RawReply> {
    const reply = replyOf(stream);
    stream.end(body);
    return reply;
  }

  close(): void {
    this.session.destroy();
  }
}

/** How a stream ends. */
export function replyOf(stream: ClientHttp2Stream): Promise<RawReply> {
  let code = -1;
  let details = "";
  let answered = false;
  let httpStatus: number | undefined;
  const note = (headers: Readonly<Record<string, unknown>>) => {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    code = Number(status);
    const message = headers["grpc-message"];
    details = typeof message === "string" ? decodeURIComponent(message) : "";
  };
  stream.on("response", (headers) => {
    httpStatus = headers[":status"];
    note(headers);
  });
  stream.on("trailers", note);
  stream.once("data", () => {
    answered = true;
  });
  stream.resume();
  // The other side has said all: what is still being sent is of no use. A reset, of which a server bears only so many.
  stream.once("end", () => {
    if (!stream.writableFinished) stream.close();
  });
  return new Promise((resolve) => {
    stream.once("close", () => resolve({ code, details, httpStatus, reset: stream.rstCode ?? 0, answered }));
  });
}
