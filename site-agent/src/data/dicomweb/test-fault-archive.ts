import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** An archive that misbehaves as a test wishes. */
export class FaultArchive {
  readonly #server: Server;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  onList: Handler = (_, response) => sendJson(response, []);
  onFetch: Handler = (_, response) => response.writeHead(404).end();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push(request.url!);
      const isList = new URL(request.url!, "http://archive").pathname.endsWith("/instances");
      (isList ? this.onList : this.onFetch)(request, response);
    });
  }

  static async start(): Promise<FaultArchive> {
    const archive = new FaultArchive();
    archive.#server.listen(0, "127.0.0.1");
    await once(archive.#server, "listening");
    return archive;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}/dicom-web`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export function sendJson(response: ServerResponse, content: unknown): void {
  response.writeHead(200, { "content-type": "application/dicom+json; charset=utf-8" }).end(JSON.stringify(content));
}

/** One object of a list, as PS3.18 F.2 writes it. */
export function listed(instance: string, over: Record<string, unknown> = {}): Record<string, unknown> {
  const uid = (value: string) => ({ vr: "UI", Value: [value] });
  return { "0020000D": uid("1.2.3.77"), "0020000E": uid("1.2.3.77.1"), "00080018": uid(instance), ...over };
}

export const boundary = "b0undary";
export const multipartType = { "content-type": `multipart/related; type="application/dicom"; boundary="${boundary}"` };

export function multipart(content: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
    content,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}
