import { someEvent, testLog } from "./test-log.js";

/** Appends until it is killed, and says after each durable entry that it is there. */
const [directory = "", who = "0"] = process.argv.slice(2);
const log = testLog(directory, { segmentBytes: 20_000, actor: `writer-${who}` });
process.stdout.write("ready\n");
for (let index = 0; ; index++) {
  log.record(someEvent(index));
  log.record({ action: "message.released", object: { run: who, round: 1, attempt: index, kind: "upload", bytes: 1 } });
  process.stdout.write(`${index}\n`);
}
