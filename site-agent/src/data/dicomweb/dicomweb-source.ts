import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import type { DataSettings } from "../data-settings.js";
import type { DicomFile } from "../dicom/dicom-file.js";
import { frameOf, itemsOf } from "../dicom/dicom-items.js";
import { DicomReader } from "../dicom/dicom-source.js";
import { renderFrame } from "../dicom/render.js";
import { type NameHash, nameHash } from "../name-hash.js";
import { type ImageSource, type SourceFile, splitPartId, UnreadableImage } from "../source.js";
import { Archive } from "./archive.js";
import { RequestFailure } from "./archive-failure.js";
import { InstanceCache } from "./instance-cache.js";
import type { RetryOptions } from "./retry.js";
import { hashInId, IdSeal, type InstanceName } from "./sealed-id.js";

export interface DicomwebSourceOptions {
  /** With `dicomweb`. */
  readonly settings: DataSettings;
  /** Secret of the site: it hides identifiers in ids, groups and names of cached files. */
  readonly nameKey: Uint8Array | string;
  /** Short side of the images that `read` returns, in pixels; smaller ones keep their size. */
  readonly workingSize: number;
  readonly retry?: RetryOptions;
}

const patient: RetryOptions = { attempts: 5, firstDelayMilliseconds: 500 };

/**
 * Objects of an archive that speaks DICOMweb (PS3.18). They are fetched when they are first read and kept in the folder
 * `settings.path` as long as there is room.
 */
export function dicomwebSource({
  settings,
  nameKey,
  workingSize,
  retry = patient,
}: DicomwebSourceOptions): ImageSource {
  const objects = new FetchedObjects(settings, nameKey, retry);
  return {
    files: (signal) => objects.list(signal),
    items: (file) => objects.use(file, async ({ header }) => itemsOf(header, file, settings)),
    async read({ id, stamp }) {
      const { fileId, part } = splitPartId(id);
      const options = { id, workingSize, window: settings.dicom.window };
      return objects.use({ id: fileId, stamp }, (file) => renderFrame(file, frameOf(part), options));
    },
    close: () => objects.close(),
  };
}

class FetchedObjects {
  readonly #settings: DataSettings;
  readonly #seal: IdSeal;
  readonly #hash: NameHash;
  readonly #reader: DicomReader;
  readonly #cache: InstanceCache;
  readonly #retry: RetryOptions;
  readonly #fetching = new Map<string, Promise<void>>();
  #archive: Promise<Archive> | undefined;

  constructor(settings: DataSettings, nameKey: Uint8Array | string, retry: RetryOptions) {
    this.#settings = settings;
    this.#seal = new IdSeal(nameKey);
    this.#hash = nameHash(nameKey);
    this.#reader = new DicomReader(settings, this.#hash);
    this.#retry = retry;
    this.#cache = new InstanceCache({
      folder: settings.path,
      maxBytes: archiveSettings(settings).cacheMiB * 1024 ** 2,
      maxFileBytes: settings.maxFileBytes,
    });
  }

  /** In the order of ids: archives promise none. */
  async *list(signal?: AbortSignal): AsyncGenerator<SourceFile> {
    const files: SourceFile[] = [];
    const { modality } = archiveSettings(this.#settings);
    const modalities = modality === undefined ? this.#settings.dicom.modalities : [modality];
    for await (const { name, size } of (await this.#opened()).instances(modalities, signal)) {
      files.push({ id: this.#seal.seal(name), stamp: this.#stampOf(name, size) });
    }
    if (signal?.aborted) throw new AbortedError();
    yield* files.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** An object of other content has another identifier (PS3.3 C.12.1.1), so this only follows what archives correct. */
  #stampOf({ instance }: InstanceName, size: string): string {
    return this.#hash(`${instance} ${size}`);
  }

  /** @throws UnreadableImage; ConsiliumError "input-unreadable" when the archive or the folder fails */
  async use<T>({ id, stamp }: Pick<SourceFile, "id" | "stamp">, act: (file: DicomFile) => Promise<T>): Promise<T> {
    const cached = hashInId(id);
    const path = this.#cache.pathOf(cached);
    for (let attempt = 1; ; attempt++) {
      if (!(await this.#cache.touch(cached))) await this.#fetchOnce(id);
      try {
        return await this.#reader.use(path, { id, stamp }, act);
      } catch (thrown) {
        // Another thread may have made room just now.
        if (!(thrown instanceof UnreadableImage && thrown.reason === "missing") || attempt > 1) throw thrown;
      }
    }
  }

  /** Several images of one object wait for the same fetch. */
  #fetchOnce(id: string): Promise<void> {
    const running = this.#fetching.get(id);
    if (running !== undefined) return running;
    const started = this.#fetch(id).finally(() => this.#fetching.delete(id));
    this.#fetching.set(id, started);
    return started;
  }

  async #fetch(id: string): Promise<void> {
    const name = this.#seal.open(id);
    if (name === undefined) throw new UnreadableImage(id, "missing", { detail: "listed with another key" });
    const archive = await this.#opened();
    try {
      await archive.fetch(name, (bytes) => this.#cache.store(hashInId(id), bytes));
    } catch (thrown) {
      if (thrown instanceof RequestFailure) throw await this.#explain(id, archive, thrown);
      throw folderFailure(thrown);
    }
  }

  /** One object that cannot be had is no reason to give up on the others, as long as the archive answers. */
  async #explain(id: string, archive: Archive, failure: RequestFailure): Promise<ConsiliumError> {
    if (failure.isRefusal) return archive.failure(failure);
    if (failure.concernsArchive && !(await archive.answers())) return archive.failure(failure);
    const detail = failure.message;
    if (failure.kind === "too-large") return new UnreadableImage(id, "file-too-large", { detail });
    if (failure.kind === "content") return new UnreadableImage(id, "unsupported-format", { detail });
    return new UnreadableImage(id, "missing", { detail });
  }

  #opened(): Promise<Archive> {
    this.#archive ??= Archive.open(archiveSettings(this.#settings), this.#retry);
    return this.#archive;
  }

  async close(): Promise<void> {
    this.#reader.forget();
    const archive = await this.#archive?.catch(() => undefined);
    archive?.close();
  }
}

function archiveSettings({ dicomweb }: DataSettings): NonNullable<DataSettings["dicomweb"]> {
  if (dicomweb !== undefined) return dicomweb;
  throw new ConsiliumError("config-invalid", "the source of kind dicomweb says no archive", {
    remedy: "add `dicomweb` with the archive's `url`",
  });
}

function folderFailure(cause: unknown): unknown {
  const { code, syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  if (syscall === undefined) return cause;
  return new ConsiliumError("input-unreadable", `the folder for fetched images cannot be written (${code})`, {
    remedy: "check that `path` may be written and its disk has room for `dicomweb.cacheMiB`",
    cause,
  });
}
