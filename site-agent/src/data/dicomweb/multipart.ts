import { RequestFailure } from "./archive-failure.js";

const maxHeaderBytes = 8192;
const endOfHeaders = Buffer.from("\r\n\r\n");

/**
 * The boundary in the header of a multipart answer (RFC 2046 5.1.1).
 * @throws RequestFailure "content" when there is none
 */
export function boundaryOf(contentTypeHeader: string): string {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]{1,70})"|([^;\s"]{1,70})(?=[;\s]|$))/i.exec(contentTypeHeader) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw new RequestFailure("content", "it sent a multipart answer without boundary");
  return boundary;
}

/**
 * The contents of the first part, as they arrive. Holds back no more than the length of a boundary.
 * @throws RequestFailure "content" when this is no multipart body, "transport" when it ends before the part does
 */
export async function* firstPart(body: AsyncIterable<Uint8Array>, boundary: string): AsyncGenerator<Uint8Array> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first delimiter may lack its line break.
  let held: Buffer = Buffer.from("\r\n");
  let isInPart = false;
  for await (const chunk of body) {
    held = Buffer.concat([held, chunk]);
    if (!isInPart) {
      const start = startOfPart(held, delimiter);
      if (start === undefined) continue;
      held = held.subarray(start);
      isInPart = true;
    }
    const end = held.indexOf(delimiter);
    if (end >= 0) {
      yield held.subarray(0, end);
      return;
    }
    const sure = held.length - delimiter.length;
    if (sure > 0) {
      yield held.subarray(0, sure);
      held = held.subarray(sure);
    }
  }
  throw new RequestFailure("transport", "its answer ended within an object");
}

/** @returns undefined while more bytes are needed */
function startOfPart(held: Buffer, delimiter: Buffer): number | undefined {
  const at = held.indexOf(delimiter);
  const end = at < 0 ? -1 : held.indexOf(endOfHeaders, at + delimiter.length);
  if (end >= 0) {
    const closing = held.subarray(at + delimiter.length, at + delimiter.length + 2).toString("latin1");
    if (closing === "--") throw new RequestFailure("content", "it sent an answer without parts");
    return end + endOfHeaders.length;
  }
  if (held.length > maxHeaderBytes) throw new RequestFailure("content", "it sent no multipart answer");
  return undefined;
}
