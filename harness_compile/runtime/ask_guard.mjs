// Asks guard.py what becomes of a tool call: what the Pi extension and the OpenClaw plugin share.
//
// It decides nothing itself. The guard that runs is the one that lies beside this file, never one of a project:
// a project that somebody else wrote may bring rules (data that can only forbid), and no program. Not covered:
// what a harness does with the answer (pi_extension.ts, openclaw_plugin/index.ts). `shim.json` beside this file
// says which python runs the guard and how long it may take.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const CODE = "import sys; sys.path[0:0] = sys.argv[1:2]; import guard; guard.main()";
const LIMIT = 4_000_000; // characters of an answer
const FAULTS = new Set(["deny", "ask", "warn"]);

// Texts of a memory reach a terminal here: characters that steer it are made visible, line ends and tabs stay.
export function printable(text) {
  return String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
}

function readJson(path) {
  const value = JSON.parse(readFileSync(path, "utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("no object");
  return value;
}

// The project whose rules hold in a directory: the nearest one upwards with a folder for this harness. A folder
// that is damaged is still a project: its calls are refused, not waved through.
export function project(harness, start) {
  let at = resolve(start || process.cwd());
  try {
    at = realpathSync(at);
  } catch {
    // A directory that is gone still has parents that can hold rules.
  }
  for (;;) {
    const folder = join(at, ".harness-compile", harness);
    try {
      if (statSync(folder).isDirectory()) return settings({ root: at, folder, policy: join(folder, "guard.json") });
    } catch {
      // Not here: look further up.
    }
    const up = dirname(at);
    if (up === at) return undefined;
    at = up;
  }
}

// What the bundle says of this harness, read anew for every session. `fault` where it cannot be read.
function settings(found) {
  try {
    const said = readJson(join(found.folder, "shim.json"));
    found.onError = FAULTS.has(said.on_error) ? said.on_error : "deny";
    found.attended = said.attended === true;
    found.events = new Set(Array.isArray(said.events) ? said.events : []);
    found.hide = (Array.isArray(said.hide) ? said.hide : []).filter((one) => typeof one === "string");
  } catch (error) {
    found.fault = `its settings cannot be read (${error.code ?? error.name})`;
    found.onError = "deny";
    found.attended = false;
    found.events = new Set(["pre_tool"]);
    found.hide = [];
  }
  return found;
}

// `{failed: true, because}` or the object that the guard printed. Never throws.
export async function ask(harness, found, payload, signal) {
  const lost = (because) => ({
    failed: true,
    because: `the guard of this project did not answer: ${because}; run \`harness-compile apply\` again`,
  });
  try {
    if (found.fault) return lost(found.fault);
    if (!existsSync(found.policy)) return lost("its rules are gone");
    const own = readJson(join(HERE, "shim.json"));
    const python = typeof own.python === "string" && own.python ? own.python : "python3";
    const limit = Number.isFinite(own.timeout_ms) && own.timeout_ms > 0 ? own.timeout_ms : 10_000;
    const argv = ["-I", "-S", "-c", CODE, HERE, "--harness", harness, "--policy", found.policy];
    const said = await run(python, argv, JSON.stringify({ ...payload, root: found.root }), limit, signal);
    if (said.fault) return lost(said.fault);
    if (said.code !== 0) return lost(`it ended with status ${said.code}`);
    if (!said.out.trim()) return {};
    const answer = JSON.parse(said.out);
    if (typeof answer !== "object" || answer === null || Array.isArray(answer)) return lost("it said no object");
    return answer;
  } catch (error) {
    return lost(error instanceof SyntaxError ? "it said no JSON" : error.code ?? error.name ?? "a fault");
  }
}

function run(program, argv, text, limit, signal) {
  return new Promise((done) => {
    let out = "";
    let child;
    const end = (said) => {
      clearTimeout(clock);
      signal?.removeEventListener?.("abort", stop);
      child?.kill?.("SIGKILL");
      done(said);
    };
    const stop = () => end({ fault: "the call was stopped" });
    const clock = setTimeout(() => end({ fault: `it took longer than ${limit} ms` }), limit);
    if (signal?.aborted) return stop();
    signal?.addEventListener?.("abort", stop, { once: true });
    try {
      child = spawn(program, argv, { stdio: ["pipe", "pipe", "ignore"], windowsHide: true });
    } catch (error) {
      return end({ fault: `${program} does not start (${error.code ?? error.name})` });
    }
    child.on("error", (error) => end({ fault: `${program} does not start (${error.code ?? error.name})` }));
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (part) => {
      out += part;
      if (out.length > LIMIT) end({ fault: "its answer has no end" });
    });
    child.on("close", (code) => end({ code, out }));
    child.stdin.on("error", () => {}); // it may end before it has read everything; its status says why
    child.stdin.end(text);
  });
}

// What a call that could not be judged becomes, in one vocabulary: {refuse} | {ask} | {tell}.
export function verdict(found, answer) {
  if (answer.failed) {
    const key = { deny: "refuse", ask: "ask", warn: "tell" }[found.onError];
    return { [key]: printable(answer.because) };
  }
  const said = {};
  if (answer.block) said.refuse = printable(answer.reason ?? answer.blockReason ?? "refused by a rule");
  const question = answer.ask ?? answer.requireApproval?.description;
  if (question) said.ask = printable(question);
  if (answer.context) said.tell = printable(answer.context);
  if (answer.continue) said.again = printable(answer.continue);
  return said;
}

// Whether a tool's name matches a glob of `*` and `?`.
export function named(glob, name) {
  const text = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, ".*").replace(/\?/g, ".");
  return new RegExp(`^${text}$`).test(name);
}

export function hidden(found, name) {
  const names = [name, `mcp__${name}`];
  return found.hide.some((glob) => names.some((one) => named(glob, one)));
}
