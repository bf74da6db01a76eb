import { constants } from "node:fs";
import { access, opendir, statfs } from "node:fs/promises";
import { resolve } from "node:path";
import { formatBytes } from "@consilium/shared/terminal/format.js";
import { loadSiteConfig } from "../config.js";
import { pathTrouble } from "../data/find-images.js";
import { type ExaminedSite, failed, ok, type Verdict, warning } from "./finding.js";

/** Whether the folder of images can be opened; what is in it `check-data` tells. */
export async function checkData({ home }: ExaminedSite): Promise<Verdict> {
  const { data } = loadSiteConfig(home);
  if (data.source === "dicomweb")
    return ok("in an archive that is asked over DICOMweb: see 'consilium-agent check-data'");
  const folder = resolve(home.root, data.path);
  const remedy = "mount it, let the agent's user read it, or correct `data` in site.yaml";
  try {
    if (await isEmpty(folder)) return failed(`${folder} is empty`, remedy);
  } catch (thrown) {
    return failed(`${folder} ${pathTrouble(thrown)}`, remedy);
  }
  const labels = data.labels === undefined ? undefined : resolve(folder, data.labels);
  try {
    if (labels !== undefined) await access(labels, constants.R_OK);
  } catch (thrown) {
    return failed(`${labels} ${pathTrouble(thrown)}`, remedy);
  }
  return ok(`${folder} can be read`);
}

async function isEmpty(folder: string): Promise<boolean> {
  const directory = await opendir(folder);
  try {
    return (await directory.read()) === null;
  } finally {
    await directory.close();
  }
}

/** Whether the agent can keep its state. */
export async function checkDisk({ home }: ExaminedSite): Promise<Verdict> {
  try {
    await access(home.root, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(home.root);
    return judgeSpace(home.root, bavail * bsize);
  } catch (thrown) {
    return failed(`${home.root} ${pathTrouble(thrown)}`, "let the agent's user read and write the home");
  }
}

const mebibyte = 1024 ** 2;
/** An update of a large model, its optimiser's state and the audit log of a round do not fit in less. */
const leastBytes = 512 * mebibyte;
/** The caches of programs and tiles grow to about so much by default. */
const amplyBytes = 6 * 1024 * mebibyte;

export function judgeSpace(folder: string, freeBytes: number): Verdict {
  const message = `${formatBytes(freeBytes)} free in ${folder}`;
  if (freeBytes < leastBytes) return failed(message, "make room: a round whose state cannot be written fails");
  if (freeBytes < amplyBytes) return warning(message, "make room, or lower data.tileCacheMiB in site.yaml");
  return ok(message);
}
