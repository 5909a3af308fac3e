// What a client in Node is told by the test, and how it tells what it saw.

import { readFileSync } from "node:fs";

export const job = JSON.parse(process.argv[2]);
export const pcm = readFileSync(job.sound);

export function tell(report) {
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

// A promise that nobody handles ends the process with its stack, which the test shows; one that waits for ever does not.
setTimeout(() => {
  process.stderr.write("the client waited too long\n", () => process.exit(2));
}, job.seconds_max * 1000).unref();
