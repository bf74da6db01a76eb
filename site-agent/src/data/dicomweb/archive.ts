import { readFile } from "node:fs/promises";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";
import type { DataSettings } from "../data-settings.js";
import { archiveFailure, RequestFailure } from "./archive-failure.js";
import { boundaryOf, firstPart } from "./multipart.js";
import { type RetryOptions, withRetry } from "./retry.js";
import type { InstanceName } from "./sealed-id.js";
import { type Answer, Transport } from "./transport.js";

export type ArchiveSettings = NonNullable<DataSettings["dicomweb"]>;

/** An object as the archive's search describes it. */
export interface FoundInstance {
  readonly name: InstanceName;
  /** Rows, columns and frames, as far as they are said. */
  readonly size: string;
}

const maxPageBytes = 64 * 1024 ** 2;
/** A list of more would fill the memory. */
const maxInstances = 5_000_000;

const text = z.object({ Value: z.tuple([z.string().regex(/^[0-9.]{1,64}$/)]) });
const count = z.object({ Value: z.array(z.union([z.number(), z.string()])).optional() }).optional();
const uids = { "0020000D": text, "0020000E": text, "00080018": text };
const page = z.array(z.object({ ...uids, "00280008": count, "00280010": count, "00280011": count }));

/** A picture archive that speaks DICOMweb (PS3.18): QIDO-RS to search, WADO-RS to fetch. */
export class Archive {
  readonly #base: URL;
  readonly #settings: ArchiveSettings;
  readonly #transport: Transport;
  readonly #retry: RetryOptions;

  private constructor(settings: ArchiveSettings, transport: Transport, retry: RetryOptions) {
    this.#base = new URL(settings.url.endsWith("/") ? settings.url : `${settings.url}/`);
    this.#settings = settings;
    this.#transport = transport;
    this.#retry = retry;
  }

  /** @throws ConsiliumError "config-missing" when a file that the settings name cannot be read */
  static async open(settings: ArchiveSettings, retry: RetryOptions): Promise<Archive> {
    const { authorizationFile, authorityFile, timeoutSeconds } = settings;
    const transport = new Transport(new URL(settings.url), {
      authorization: (await readOptional(authorizationFile, "authorizationFile"))?.trim(),
      authority: await readOptional(authorityFile, "authorityFile"),
      timeoutMilliseconds: timeoutSeconds * 1000,
    });
    return new Archive(settings, transport, retry);
  }

  /**
   * All objects of the modalities that the settings ask for, page by page, each once.
   * @throws ConsiliumError "input-unreadable"
   */
  async *instances(modalities: readonly string[], signal?: AbortSignal): AsyncGenerator<FoundInstance> {
    const seen = new Set<string>();
    for (const modality of modalities) {
      for (let offset = 0; ; ) {
        if (signal?.aborted) return;
        const found = await this.#page(modality, offset);
        const fresh = found.filter(({ name }) => !seen.has(name.instance));
        for (const { name } of fresh) seen.add(name.instance);
        yield* fresh;
        // A page without anything new is the last, or comes from an archive that knows no pages.
        if (fresh.length === 0) break;
        if (seen.size > maxInstances)
          throw this.failure(new RequestFailure("too-large", "it lists more than 5 million objects"));
        offset += found.length;
      }
    }
  }

  async #page(modality: string, offset: number): Promise<readonly FoundInstance[]> {
    const url = new URL("instances", this.#base);
    for (const [key, value] of this.#filter(modality, offset)) url.searchParams.append(key, value);
    try {
      return await withRetry(this.#retry, () => this.#search(url));
    } catch (thrown) {
      if (thrown instanceof RequestFailure) throw archiveFailure(this.#base.host, thrown);
      throw thrown;
    }
  }

  #filter(modality: string, offset: number): readonly (readonly [string, string])[] {
    const { bodyPart, from, to, pageSize } = this.#settings;
    return [
      ["Modality", modality],
      ...(bodyPart === undefined ? [] : [["BodyPartExamined", bodyPart] as const]),
      ...(from === undefined && to === undefined ? [] : [["StudyDate", `${from ?? ""}-${to ?? ""}`] as const]),
      ...["00280008", "00280010", "00280011"].map((tag) => ["includefield", tag] as const),
      ["limit", String(pageSize)],
      ["offset", String(offset)],
    ];
  }

  async #search(url: URL): Promise<readonly FoundInstance[]> {
    const answer = await this.#transport.get(url, "application/dicom+json");
    if (answer.status === 204) return [];
    requireStatus(answer);
    requireType(answer, ["application/dicom+json", "application/json"]);
    return parsePage(await collect(answer));
  }

  /** Whether the archive answers searches at all. */
  async answers(): Promise<boolean> {
    const url = new URL("instances?limit=1", this.#base);
    try {
      const answer = await this.#transport.get(url, "application/dicom+json");
      answer.discard();
      return answer.status < 300;
    } catch {
      return false;
    }
  }

  /**
   * Fetches an object as a DICOM file, in whatever encoding the archive keeps it.
   * @param store takes the bytes; called anew for each try
   * @throws RequestFailure; what `store` throws
   */
  fetch(
    { study, series, instance }: InstanceName,
    store: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    const url = new URL(`studies/${study}/series/${series}/instances/${instance}`, this.#base);
    return withRetry(this.#retry, async () => {
      const answer = await this.#transport.get(url, 'multipart/related; type="application/dicom"; transfer-syntax=*');
      try {
        requireStatus(answer);
        requireType(answer, ["multipart/related", "application/dicom"]);
        const isBare = answer.contentType === "application/dicom";
        await store(isBare ? answer.body : firstPart(answer.body, boundaryOf(answer.contentTypeHeader)));
      } finally {
        answer.discard();
      }
    });
  }

  failure(failure: RequestFailure): ConsiliumError {
    return archiveFailure(this.#base.host, failure);
  }

  close(): void {
    this.#transport.close();
  }
}

function requireStatus(answer: Answer): void {
  if (answer.status === 200) return;
  answer.discard();
  throw new RequestFailure("status", `it answers with status ${answer.status}`, answer.status);
}

function requireType(answer: Answer, types: readonly string[]): void {
  if (types.includes(answer.contentType)) return;
  answer.discard();
  const said = /^[\w.+-]{1,40}\/[\w.+-]{1,40}$/.test(answer.contentType) ? answer.contentType : "no known content";
  throw new RequestFailure("content", `it answers with ${said} instead of ${types[0]}`);
}

async function collect(answer: Answer): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body) {
    length += chunk.length;
    if (length > maxPageBytes) {
      answer.discard();
      throw new RequestFailure("too-large", "one page of its list is larger than 64 MiB");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parsePage(bytes: Buffer): readonly FoundInstance[] {
  const parsed = page.safeParse(parseJson(bytes));
  if (!parsed.success) throw new RequestFailure("content", "its list of objects is not as PS3.18 F.2 says");
  return parsed.data.map((found) => ({
    name: {
      study: found["0020000D"].Value[0],
      series: found["0020000E"].Value[0],
      instance: found["00080018"].Value[0],
    },
    size: (["00280010", "00280011", "00280008"] as const).map((tag) => found[tag]?.Value?.[0] ?? "").join("x"),
  }));
}

/** @returns undefined for what is no JSON, whose error message would quote it */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

async function readOptional(path: string | undefined, setting: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ConsiliumError("config-missing", `dicomweb.${setting} ${path}: cannot be read`, {
      remedy: "check the path and the file's permissions",
      cause,
    });
  }
}
