import { mkdir } from "node:fs/promises";
import { readTogether, writeTogether } from "./file-set.js";

/** What a process needs to speak TLS as itself. PEM texts; `certPem` is the leaf alone. */
export interface TlsBundle {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const bundleFiles = { caPem: "ca.pem", certPem: "certificate.pem", keyPem: "key.pem" } as const;

/** All or nothing: after a crash, the bundle is the old one or the new one, and its key always fits its certificate. */
export async function saveTlsBundle(directory: string, { caPem, certPem, keyPem }: TlsBundle): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeTogether(directory, [
    { name: bundleFiles.keyPem, content: keyPem, secret: true },
    { name: bundleFiles.caPem, content: caPem },
    { name: bundleFiles.certPem, content: certPem },
  ]);
}

/** Throws config-missing where a file is not there, input-unreadable where it cannot be read. */
export async function loadTlsBundle(directory: string): Promise<TlsBundle> {
  const [caPem, certPem, keyPem] = await readTogether(directory, [
    bundleFiles.caPem,
    bundleFiles.certPem,
    bundleFiles.keyPem,
  ]);
  return { caPem: caPem!, certPem: certPem!, keyPem: keyPem! };
}
