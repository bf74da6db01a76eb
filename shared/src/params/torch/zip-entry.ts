import type { FileHandle } from "node:fs/promises";
import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { ConsiliumError } from "../../errors.js";
import { damagedArchive, readPart, type ZipEntry } from "./zip-directory.js";

const headerBytes = 30;
const signature = 0x0403_4b50;
const inflated = promisify(inflateRaw);

/**
 * An entry's content: as long as the directory says, with the checksum that it says.
 * @param mostBytes more are refused before anything is read or unpacked
 * @throws ConsiliumError "input-unreadable", or "input-unsupported" for encrypted entries and unusual compression
 */
export async function readZipEntry(file: FileHandle, entry: ZipEntry, mostBytes: number): Promise<Uint8Array> {
  const label = `its entry ${JSON.stringify(entry.name.slice(0, 100))}`;
  if (entry.encrypted || (entry.method !== 0 && entry.method !== 8)) {
    const how = entry.encrypted ? "is encrypted" : `is compressed by method ${entry.method}`;
    throw new ConsiliumError("input-unsupported", `cannot read the zip archive: ${label} ${how}`, {
      remedy: "save the weights again with torch.save or as safetensors",
    });
  }
  if (Math.max(entry.bytes, entry.storedBytes) > mostBytes) {
    throw damagedArchive(`${label} claims ${Math.max(entry.bytes, entry.storedBytes)} bytes`);
  }
  const stored = await readStored(file, entry, label);
  const content = entry.method === 0 ? stored : await inflate(stored, entry.bytes, label);
  if (content.length !== entry.bytes) {
    throw damagedArchive(`${label} has ${content.length} bytes instead of ${entry.bytes}`);
  }
  if (crc32(content) !== entry.crc32) throw damagedArchive(`${label} does not have its checksum`);
  return content;
}

/** The content follows the entry's own header, whose extra field may be longer than the directory's. */
async function readStored(file: FileHandle, entry: ZipEntry, label: string): Promise<Uint8Array> {
  const header = await readPart(file, entry.headerStart, headerBytes);
  if (header.getUint32(0, true) !== signature) throw damagedArchive(`${label} has no header`);
  const start = entry.headerStart + headerBytes + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + entry.storedBytes > entry.limit) throw damagedArchive(`${label} overlaps what follows it`);
  return new Uint8Array((await readPart(file, start, entry.storedBytes)).buffer);
}

async function inflate(stored: Uint8Array, bytes: number, label: string): Promise<Uint8Array> {
  try {
    // Never unpacks more than was announced.
    return await inflated(stored, { maxOutputLength: Math.max(1, bytes) });
  } catch (cause) {
    throw Object.assign(damagedArchive(`${label} cannot be unpacked`), { cause });
  }
}
