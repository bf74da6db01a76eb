import { open } from "node:fs/promises";
import { replaceFile } from "../durable-file.js";

const chunkLines = 4096;

/** Writes lines that need not fit in memory together; readers see the old file or the whole new one. */
export function writeLines(path: string, lines: Iterable<string>, mode: number): Promise<void> {
  return replaceFile(path, async (temporaryPath) => {
    const file = await open(temporaryPath, "w", mode);
    try {
      let chunk: string[] = [];
      for (const line of lines) {
        chunk.push(line);
        if (chunk.length < chunkLines) continue;
        await file.write(chunk.join(""));
        chunk = [];
      }
      await file.write(chunk.join(""));
      await file.sync();
    } finally {
      await file.close();
    }
  });
}
