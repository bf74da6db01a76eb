import { parentPort, workerData } from "node:worker_threads";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { countImages } from "./count-images.js";
import type { DataSettings } from "./data-settings.js";
import type { CountAnswer } from "./image-counter.js";

/** Entry of a thread that opens what is new at a source and says how many images there are. */

async function answer(settings: DataSettings): Promise<CountAnswer> {
  try {
    return { type: "counted", count: await countImages(settings) };
  } catch (thrown) {
    const { code, message, remedy } = asConsiliumError(thrown);
    return { type: "failed", code, message, ...(remedy === undefined ? {} : { remedy }) };
  }
}

void answer(workerData as DataSettings).then((said) => parentPort?.postMessage(said));
