import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pictures } from "./made-pictures.js";

/** `tsx write-pictures.ts FOLDER` writes what reference_pictures.py reads. */
for (const [name, make] of Object.entries(pictures)) await writeFile(join(process.argv[2]!, name), await make());
