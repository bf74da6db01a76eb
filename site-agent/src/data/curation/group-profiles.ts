import type { ColourProfile } from "@consilium/shared/config/run-config.js";
import { AbortedError } from "@consilium/shared/errors.js";
import { permutation, randomFor } from "@consilium/shared/random.js";
import { profileOf } from "../augment/reinhard.js";
import { UnreadableImage } from "../source.js";
import type { CurationKeys } from "./curation-keys.js";
import type { ListedImages } from "./listed-images.js";

/** Fewer images could be one patient's, and would make a poor mean. */
const fewest = 20;

export interface GroupProfile {
  readonly group: string;
  readonly images: number;
  readonly profile: ColourProfile;
}

export interface ProfilesRequest extends ListedImages {
  readonly keys: Pick<CurationKeys, "keys" | "groupNames">;
  /** Images of each group that are read, by chance. */
  readonly perGroup: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Mean colour profile of every group with enough images: six numbers that other sites may colour their images by. */
export async function groupProfiles(request: ProfilesRequest): Promise<GroupProfile[]> {
  const { keys, items, perGroup, seed } = request;
  const profiles: ColourProfile[][] = keys.groupNames.map(() => []);
  for (const index of permutation(items.length, randomFor("profiles", seed))) {
    const group = profiles[keys.keys.group[index]!]!;
    if (group.length >= perGroup) continue;
    const profile = await profileAt(request, index);
    if (profile !== undefined) group.push(profile);
  }
  return profiles.flatMap((group, index) => {
    if (group.length < fewest) return [];
    return [{ group: keys.groupNames[index]!, images: group.length, profile: meanOf(group) }];
  });
}

async function profileAt(
  { source, items, signal }: ProfilesRequest,
  index: number,
): Promise<ColourProfile | undefined> {
  if (signal?.aborted) throw new AbortedError();
  try {
    return profileOf(await source.read(items.at(index)));
  } catch (thrown) {
    if (!(thrown instanceof UnreadableImage)) throw thrown;
    return undefined;
  }
}

function meanOf(profiles: readonly ColourProfile[]): ColourProfile {
  const mean = (part: number) => {
    const sum = profiles.reduce((total, profile) => total + profile[part]!, 0);
    return Math.round((100 * sum) / profiles.length) / 100;
  };
  return [mean(0), mean(1), mean(2), mean(3), mean(4), mean(5)];
}
