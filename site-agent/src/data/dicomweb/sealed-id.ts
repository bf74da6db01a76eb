import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** DICOM's identifiers of an object. They tell who knows the archive whose picture it is. */
export interface InstanceName {
  readonly study: string;
  readonly series: string;
  readonly instance: string;
}

/**
 * Turns names of objects into ids and back: the same name always gives the same id, which says nothing without the
 * site's key. A synthetic initialisation vector (as RFC 5297 has it, here of HMAC-SHA256) and AES-256-CTR.
 */
export class IdSeal {
  readonly #macKey: Buffer;
  readonly #cipherKey: Buffer;

  /** @param nameKey secret of the site */
  constructor(nameKey: Uint8Array | string) {
    const derive = (use: string): Buffer => Buffer.from(hkdfSync("sha256", nameKey, "", `dicomweb id ${use}`, 32));
    this.#macKey = derive("mac");
    this.#cipherKey = derive("cipher");
  }

  seal({ study, series, instance }: InstanceName): string {
    const plain = Buffer.from(`${study}/${series}/${instance}`, "latin1");
    const vector = this.#vector(plain);
    const cipher = createCipheriv("aes-256-ctr", this.#cipherKey, vector);
    return Buffer.concat([vector, cipher.update(plain), cipher.final()]).toString("base64url");
  }

  /** @returns undefined for an id that was not made with this key */
  open(id: string): InstanceName | undefined {
    const sealed = Buffer.from(id, "base64url");
    if (sealed.length <= vectorBytes) return undefined;
    const vector = sealed.subarray(0, vectorBytes);
    const cipher = createDecipheriv("aes-256-ctr", this.#cipherKey, vector);
    const plain = Buffer.concat([cipher.update(sealed.subarray(vectorBytes)), cipher.final()]);
    if (!timingSafeEqual(vector, this.#vector(plain))) return undefined;
    const [study, series, instance] = plain.toString("latin1").split("/");
    return { study: study!, series: series!, instance: instance! };
  }

  #vector(plain: Buffer): Buffer {
    return createHmac("sha256", this.#macKey).update(plain).digest().subarray(0, vectorBytes);
  }
}

const vectorBytes = 16;

/** A keyed hash of the object's name: 32 hex digits, fit for a file's name. */
export function hashInId(id: string): string {
  return Buffer.from(id, "base64url").subarray(0, vectorBytes).toString("hex");
}
