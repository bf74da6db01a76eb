import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dataSettingsSchema } from "../data-settings.js";
import { dicomBytes, imageElements } from "../dicom/test-dicom.js";
import type { ImageSource, SourceFile } from "../source.js";
import { dicomwebSource } from "./dicomweb-source.js";
import { FaultArchive, type Handler, listed, multipart, multipartType, sendJson } from "./test-fault-archive.js";

const object = dicomBytes(imageElements(4, 4, new Uint8Array(16).fill(9)));
const retry = { attempts: 3, firstDelayMilliseconds: 5 };

let archive: FaultArchive;
let folder: string;
let source: ImageSource;
beforeEach(async () => {
  archive = await FaultArchive.start();
  folder = await mkdtemp(join(tmpdir(), "dicomweb-faults-"));
  source = open();
});
afterEach(async () => {
  await source.close();
  await archive.stop().catch(() => {});
  await rm(folder, { recursive: true });
});

function open(
  over: Record<string, unknown> = {},
  settings: Record<string, unknown> = {},
  nameKey = "key",
): ImageSource {
  return dicomwebSource({
    settings: dataSettingsSchema.parse({
      source: "dicomweb",
      nameKey: "0".repeat(64),
      path: join(folder, "cache"),
      dicomweb: { url: archive.url, modality: "CR", timeoutSeconds: 0.3, ...over },
      ...settings,
    }),
    nameKey,
    workingSize: 64,
    retry,
  });
}

async function list(from = source): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for await (const file of from.files()) files.push(file);
  return files;
}

const send: Handler = (_, response) => response.writeHead(200, multipartType).end(multipart(object));
const status =
  (code: number): Handler =>
  (_, response) =>
    response.writeHead(code).end();
/** Answers in turn, the last of them for ever. */
function inTurn(...handlers: Handler[]): Handler {
  return (request, response) => (handlers.length > 1 ? handlers.shift()! : handlers[0]!)(request, response);
}

async function oneFile(): Promise<SourceFile> {
  archive.onList = inTurn(
    (_, response) => sendJson(response, [listed("1.2.3.77.1.5")]),
    (_, response) => sendJson(response, []),
  );
  return (await list())[0]!;
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

describe("listing", () => {
  it("goes on after a failure that passes", async () => {
    archive.onList = inTurn(
      status(500),
      status(503),
      (_, response) => sendJson(response, [listed("1.2.3.77.1.5")]),
      status(204),
    );
    expect(await list()).toHaveLength(1);
  });

  it("stops at an archive that knows no pages, and lists each object once", async () => {
    archive.onList = (_, response) => sendJson(response, [listed("1.2.9"), listed("1.2.8")]);
    expect(await list()).toHaveLength(2);
    expect(archive.asked).toHaveLength(2);
  });

  it("asks for what the settings say", async () => {
    await list(open({ bodyPart: "CHEST", from: "20200101", pageSize: 7 }));
    const { searchParams } = new URL(archive.asked[0]!, "http://archive");
    expect(Object.fromEntries(searchParams)).toMatchObject({
      Modality: "CR",
      BodyPartExamined: "CHEST",
      StudyDate: "20200101-",
      limit: "7",
      offset: "0",
    });
  });

  it("asks for each modality that is taken where none is named", async () => {
    await list(open({ modality: undefined }, { dicom: { modalities: ["CR", "MG"] } }));
    expect(archive.asked.map((path) => new URL(path, "http://archive").searchParams.get("Modality"))).toEqual([
      "CR",
      "MG",
    ]);
  });

  it.each([
    ["an archive that is ill", status(500), /status 500/],
    ["a refusal", status(401), /status 401/],
    [
      "a page for people",
      ((_, r) => r.writeHead(200, { "content-type": "text/html" }).end("<p>")) as Handler,
      /text\/html/,
    ],
    [
      "no JSON",
      ((_, r) => r.writeHead(200, { "content-type": "application/json" }).end("[{1.2.3.77}")) as Handler,
      /PS3\.18/,
    ],
    ["objects without names", ((_, r) => sendJson(r, [{}])) as Handler, /PS3\.18/],
    ["names that lead elsewhere", ((_, r) => sendJson(r, [listed("../../etc")])) as Handler, /PS3\.18/],
    ["silence", (() => {}) as Handler, /in time/],
    ["a broken connection", ((q) => q.socket.destroy()) as Handler, /no connection/],
    [
      "a redirection",
      ((_, r) => r.writeHead(302, { location: "http://elsewhere.example" }).end()) as Handler,
      /status 302/,
    ],
  ])("says of %s what it is", async (_, handler, message) => {
    archive.onList = handler;
    const failure = await failureOf(list());
    expect(failure).toMatchObject({
      code: "input-unreadable",
      message: expect.stringMatching(message),
      remedy: expect.any(String),
    });
    expect(String(failure)).not.toContain("1.2.3.77");
  });

  it("says that nothing listens", async () => {
    await archive.stop();
    await expect(list()).rejects.toMatchObject({
      code: "input-unreadable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("needs the files that the settings name", async () => {
    const missing = open({ authorizationFile: join(folder, "none") });
    await expect(list(missing)).rejects.toMatchObject({ code: "config-missing" });
  });

  it("sends the header from the file, and never twice the same secret to another place", async () => {
    await writeFile(join(folder, "token"), "Bearer abc\n");
    let seen: string | undefined;
    archive.onList = (request, response) => {
      seen = request.headers.authorization;
      sendJson(response, []);
    };
    await list(open({ authorizationFile: join(folder, "token") }));
    expect(seen).toBe("Bearer abc");
  });
});

describe("fetching", () => {
  it("tries again, and keeps what it got", async () => {
    const file = await oneFile();
    archive.onFetch = inTurn(status(500), send);
    const [item] = await source.items(file);
    expect(item).toMatchObject({
      id: file.id,
      facts: { width: 4, height: 4 },
      group: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    const before = archive.asked.length;
    expect((await source.read(item!)).width).toBe(4);
    expect((await open().read(item!)).width).toBe(4);
    expect(archive.asked.length).toBe(before);
    expect(archive.asked.at(-1)).toBe("/dicom-web/studies/1.2.3.77/series/1.2.3.77.1/instances/1.2.3.77.1.5");
  });

  it("takes an object that comes without multipart", async () => {
    const file = await oneFile();
    archive.onFetch = (_, response) => response.writeHead(200, { "content-type": "application/dicom" }).end(object);
    await expect(source.items(file)).resolves.toHaveLength(1);
  });

  it("waits once for several images of an object", async () => {
    const file = await oneFile();
    archive.onFetch = send;
    const before = archive.asked.length;
    await Promise.all([1, 2, 3, 4].map(() => source.items(file)));
    expect(archive.asked.length).toBe(before + 1);
  });

  it("resumes with an archive that cut an answer short", async () => {
    const file = await oneFile();
    const cut: Handler = (_, response) => {
      response.writeHead(200, { ...multipartType, "content-length": "5000" });
      response.write(multipart(object).subarray(0, 300), () => response.destroy());
    };
    archive.onFetch = inTurn(cut, send);
    await expect(source.items(file)).resolves.toHaveLength(1);
  });

  const cutBody: Handler = (_, response) =>
    response.writeHead(200, multipartType).end(multipart(object).subarray(0, 300));
  it.each([
    ["is gone", status(404), "missing"],
    ["always fails", status(500), "missing"],
    ["ends early", cutBody, "missing"],
    ["never comes", (() => {}) as Handler, "missing"],
    [
      "is a page for people",
      ((_, r) => r.writeHead(200, { "content-type": "text/html" }).end("<p>")) as Handler,
      "unsupported-format",
    ],
    [
      "has no boundary",
      ((_, r) => r.writeHead(200, { "content-type": "multipart/related" }).end("x")) as Handler,
      "unsupported-format",
    ],
    [
      "has no part",
      ((_, r) => r.writeHead(200, multipartType).end("--b0undary--\r\n\r\n")) as Handler,
      "unsupported-format",
    ],
    [
      "is no DICOM",
      ((_, r) => r.writeHead(200, multipartType).end(multipart(Buffer.from("a letter".repeat(99))))) as Handler,
      "unsupported-format",
    ],
  ] as const)("gives up on one object that %s, and on no other", async (_, handler, reason) => {
    const file = await oneFile();
    archive.onFetch = handler;
    const failure = await failureOf(source.items(file));
    expect(failure).toMatchObject({ reason });
    expect(String(failure)).not.toContain("1.2.3.77");
    expect((await readdir(join(folder, "cache")).catch(() => [])).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("refuses an object that is larger than allowed, while it comes", async () => {
    source = open({}, { maxFileBytes: 100_000 });
    const file = await oneFile();
    let sent = 0;
    archive.onFetch = (_, response) => {
      response.writeHead(200, multipartType);
      response.write(multipart(Buffer.alloc(0)).subarray(0, -16));
      const more = (): void => {
        while (!response.destroyed && sent < 1e9) {
          sent += 65536;
          if (!response.write(Buffer.alloc(65536))) return void response.once("drain", more);
        }
      };
      more();
    };
    await expect(source.items(file)).rejects.toMatchObject({ reason: "file-too-large" });
    expect(sent).toBeLessThan(50_000_000);
  });

  it("tells an archive that is down from an object that is bad", async () => {
    const file = await oneFile();
    archive.onFetch = status(500);
    archive.onList = status(500);
    const failure = await failureOf(source.items(file));
    expect(failure).toMatchObject({ code: "input-unreadable", remedy: expect.stringContaining("dicomweb.url") });
    expect(failure).not.toHaveProperty("reason");
  });

  it("does not know ids that another key made", async () => {
    const file = await oneFile();
    await expect(open({}, {}, "another").items(file)).rejects.toMatchObject({ reason: "missing" });
    await expect(source.items({ id: "abc", stamp: "" })).rejects.toMatchObject({ reason: "missing" });
  });
});
