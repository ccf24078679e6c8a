// Prints what the official AsyncAPI parser finds in the document on standard input: a JSON list, empty if it is valid.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const found = diagnostics
  .filter(({ severity }) => severity <= 1)
  .map(({ code, severity, message, path }) => ({ code, severity, message, path: path.join(".") }));
const channels = document ? document.allChannels().all().length : 0;
console.log(JSON.stringify({ valid: Boolean(document), found, channels }));
