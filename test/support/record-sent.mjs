import { appendFileSync } from "node:fs";
import http2 from "node:http2";

/**
 * To be loaded before a program (`node --import`): appends what its HTTP/2 sessions send, headers and data before
 * encryption, to the file that SENT_BYTES names.
 */
const file = process.env.SENT_BYTES;

function record(chunk, encoding) {
  if (chunk === undefined || chunk === null || typeof chunk === "function") return;
  appendFileSync(file, typeof chunk === "string" ? Buffer.from(chunk, encoding ?? "utf8") : Buffer.from(chunk));
}

if (file !== undefined) {
  const connect = http2.connect;
  http2.connect = (...connected) => {
    const session = connect(...connected);
    const request = session.request.bind(session);
    session.request = (headers, ...rest) => {
      appendFileSync(file, `${JSON.stringify(headers)}\n`);
      const stream = request(headers, ...rest);
      const [write, end] = [stream.write.bind(stream), stream.end.bind(stream)];
      stream.write = (chunk, encoding, ...more) => {
        record(chunk, typeof encoding === "string" ? encoding : undefined);
        return write(chunk, encoding, ...more);
      };
      stream.end = (chunk, encoding, ...more) => {
        record(chunk, typeof encoding === "string" ? encoding : undefined);
        return end(chunk, encoding, ...more);
      };
      return stream;
    };
    return session;
  };
}
