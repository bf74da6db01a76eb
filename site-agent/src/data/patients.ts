import { ConsiliumError } from "@consilium/shared/errors.js";
import type { DataSettings } from "./data-settings.js";
import type { ItemList } from "./index/item-list.js";
import { namesPatient } from "./source.js";

/** A site's images by the patients whom privacy is to protect. */
export interface Patients {
  /** Indices of each patient's images, at most the cap. */
  readonly images: readonly Int32Array[];
}

export interface PatientQuestion {
  readonly items: Pick<ItemList, "length" | "at">;
  readonly settings: Pick<DataSettings, "patients" | "columns">;
  /** Most images of one patient that training may see; absent: all. */
  readonly mostImages?: number | undefined;
}

/**
 * Who the patients of a site are. A patient is all images with the same group; an image without one would be protected as
 * if no other showed the same patient, so that it counts as a patient only where the site says that this is true.
 * @throws ConsiliumError "config-invalid" where the source does not tell patients apart
 */
export function patientsOf({ items, settings, mostImages = Number.POSITIVE_INFINITY }: PatientQuestion): Patients {
  const byName = new Map<string, number[]>();
  for (let index = 0; index < items.length; index++) {
    const name = settings.patients === "each-image" ? index.toString() : patientOf(items, index, settings);
    const images = byName.get(name);
    if (images === undefined) byName.set(name, [index]);
    else if (images.length < mostImages) images.push(index);
  }
  return { images: [...byName.values()].map((indices) => Int32Array.from(indices)) };
}

function patientOf(items: PatientQuestion["items"], index: number, settings: PatientQuestion["settings"]): string {
  const { group } = items.at(index);
  if (namesPatient(group)) return group;
  throw new ConsiliumError("config-invalid", "an image does not say whose it is, so its patient cannot be protected", {
    remedy:
      `give the labels file a column '${settings.columns.group}' with a patient's pseudonym for every image, or, ` +
      "only if no patient has two images, set data.patients to each-image in site.yaml",
  });
}
