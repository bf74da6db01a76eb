import { percentBar } from "@consilium/shared/terminal/format.js";
import { LiveBlock } from "@consilium/shared/terminal/live.js";
import type { TextStream } from "@consilium/shared/terminal/output.js";

export interface Progress {
  readonly listing: (files: number) => void;
  readonly reading: (done: number, total: number) => void;
}

/** On a terminal only, so that a log is not filled with it. */
export function curateProgress(stream: TextStream): Progress {
  const live = new LiveBlock(stream);
  const show = (line: string) => live.show({ lines: [line], summary: [] });
  return {
    listing: (files) => {
      if (live.inPlace && files % 64 === 0) show(`${files} files listed`);
    },
    reading: (done, total) => {
      if (live.inPlace && (done % 16 === 0 || done === total)) show(`${percentBar(done / total)}  ${done} of ${total}`);
    },
  };
}
