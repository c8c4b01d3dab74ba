// A mod for Letta Code that asks the guard of the project before every tool call.
//
// Installed by `harness-compile apply`; the rules are data in .harness-compile/letta_code/guard.json of the
// project, which is looked for from the directory of the session upwards. A project without one is left
// alone. Everything that goes wrong here refuses the call: a permission check that throws denies.

import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

// What is run lies in the user's home. Of a project only data is read: anybody may have written it.
const HOMES = [join(dirname(fileURLToPath(import.meta.url)), ".."), join(homedir(), ".letta")];
const OWN = HOMES.map((one) => join(one, "harness-compile")).find((one) => existsSync(join(one, "guard.py")));
const NAME = join(".harness-compile", "letta_code");
const TIMEOUT = 60_000; // milliseconds
const MOST = 8; // times in a row that a turn is kept going

function find(from) {
  for (let at = resolve(from); ; at = dirname(at)) {
    if (existsSync(join(at, NAME, "guard.json"))) return join(at, NAME);
    if (dirname(at) === at) return null;
  }
}

export default function activate(letta) {
  const start = process.cwd();
  let first = find(start); // a folder that was there once must stay: without it nothing is let through
  const asked = new Map(); // tool call -> what was asked about it, and what the guard said
  const told = new Map(); // tool call -> texts for the agent, to be put beside the tool's output
  const kept = new Map(); // conversation -> times in a row that its turn was kept going
  const begun = new Set(); // conversations that had their first turn
  const said = new Map(); // conversation -> the text that keeps its turn going, which comes back as a prompt
  process.env.HARNESS_COMPILE_MOD = `pid${process.pid}`; // the hook of the project can rest: this mod is alive

  const place = (cwd) => (first ??= find(start)) ?? (cwd ? find(cwd) : null);

  function ask(folder, payload) {
    if (!OWN) throw new Error("the guard beside this mod is missing; run `harness-compile apply` again");
    const { argv } = JSON.parse(readFileSync(join(OWN, "launch.json"), "utf8"));
    const [program, ...rest] = argv;
    const words = [...rest, OWN, "--harness", "letta_mod", "--policy", join(folder, "guard.json")];
    return new Promise((done, fail) => {
      const child = execFile(
        program,
        words,
        { timeout: TIMEOUT, maxBuffer: 16_000_000, windowsHide: true },
        (error, out, err) => {
          if (error) return fail(new Error(String(err).trim() || "the guard failed, so this call is refused"));
          try {
            done(String(out).trim() ? JSON.parse(out) : {});
          } catch {
            fail(new Error("the guard gave no answer, so this call is refused"));
          }
        },
      );
      child.stdin.on("error", () => {}); // a guard that is gone already: its exit code says so
      child.stdin.end(JSON.stringify(payload));
    });
  }

  // What the guard knows of a session changes with every call where rules ask for what happened before.
  function remembers(folder) {
    const [head] = readFileSync(join(folder, "guard.json"), "utf8").split("\n", 1);
    return /"session": true/.test(head);
  }

  // One name for a conversation: events differ in the other one, and the hooks know the agent alone.
  const named = (event) => event.agentId ?? event.conversationId ?? "";

  const call = (event, phase, cwd) => ({
    phase,
    toolName: event.toolName,
    args: event.args ?? {},
    toolCallId: event.toolCallId ?? "",
    conversationId: named(event),
    cwd: cwd ?? start,
  });

  async function check(event) {
    const cwd = event.workingDirectory ?? event.cwd;
    const folder = place(cwd);
    if (!folder) return undefined;
    const id = event.toolCallId ?? "";
    const what = JSON.stringify([event.toolName, event.args, cwd]);
    const before = id && event.phase === "execution" ? asked.get(id) : undefined;
    const same = before !== undefined && before.what === what;
    let answer;
    if (same && !remembers(folder)) answer = before.answer;
    else answer = await ask(folder, call(event, event.phase, cwd));
    if (id && event.phase === "approval") {
      if (asked.size > 1000) asked.clear(); // calls that a human refused never end; asking again is safe
      asked.set(id, { what, answer });
    }
    if (event.phase === "execution") asked.delete(id);
    if (answer.context && id) told.set(id, answer.context);
    if (answer.decision === "deny") return { decision: "deny", reason: answer.reason };
    if (answer.decision === "ask") {
      // Before execution an `ask` refuses: somebody who said yes to this very call must not be asked in vain.
      if (same && before.answer.decision === "ask") return undefined;
      return { decision: "alwaysAsk", reason: answer.reason };
    }
    return undefined;
  }

  async function ended(event, context) {
    const id = event.toolCallId ?? "";
    const folder = place(context?.cwd);
    if (!folder) return undefined;
    const texts = told.has(id) ? [told.get(id)] : [];
    told.delete(id);
    asked.delete(id);
    try {
      const answer = await ask(folder, {
        ...call(event, "tool_end", context?.cwd),
        isError: event.status === "error",
      });
      if (answer.context) texts.push(answer.context);
      if (answer.reason) texts.push(answer.reason);
    } catch (error) {
      texts.push(`the guard of this project failed after this call: ${error.message}`);
    }
    if (!texts.length) return undefined;
    return { result: { status: event.status, output: `${event.output}\n\n[rule] ${texts.join("\n[rule] ")}` } };
  }

  const words = (content) =>
    typeof content === "string"
      ? content
      : Array.isArray(content)
        ? content.map((part) => (typeof part?.text === "string" ? part.text : "")).join("\n")
        : "";

  async function begins(event, context) {
    const folder = place(context?.cwd);
    const prompts = (event.input ?? []).filter((one) => one?.role === "user");
    if (!folder || !prompts.length) return undefined;
    const conversation = named(event);
    const prompt = prompts.map((one) => words(one.content)).join("\n");
    const mine = said.get(conversation);
    said.delete(conversation);
    if (mine && prompt.includes(mine)) return undefined; // the turn goes on: nobody has asked for anything
    kept.delete(conversation);
    const base = { conversationId: conversation, cwd: context?.cwd ?? start };
    const texts = [];
    try {
      if (!begun.has(conversation)) {
        begun.add(conversation);
        const answer = await ask(folder, { ...base, phase: "session_start" });
        if (answer.context) texts.push(answer.context);
      }
      const answer = await ask(folder, { ...base, phase: "turn_start", prompt });
      if (answer.decision) return { cancel: { reason: answer.reason } };
      if (answer.context) texts.push(answer.context);
    } catch (error) {
      return { cancel: { reason: error.message } };
    }
    if (!texts.length) return undefined;
    const content = `<system-reminder>\n${texts.join("\n\n")}\n</system-reminder>`;
    return { input: [...event.input, { type: "message", role: "user", content }] };
  }

  async function ends(event, context) {
    const folder = place(context?.cwd);
    const conversation = named(event);
    if (!folder || (kept.get(conversation) ?? 0) >= MOST) return undefined;
    let text;
    try {
      const answer = await ask(folder, {
        phase: "turn_end",
        conversationId: conversation,
        cwd: context?.cwd ?? start,
      });
      text = answer.continue;
    } catch (error) {
      text = error.message;
    }
    if (!text) return undefined;
    kept.set(conversation, (kept.get(conversation) ?? 0) + 1);
    said.set(conversation, text);
    return { continue: text };
  }

  const gone = [
    letta.permissions.register({
      id: "harness-compile",
      description: "Rules that are compiled from this project's memory",
      check,
    }),
  ];
  const events = letta.capabilities?.events ?? {};
  if (events.tools ?? true) gone.push(letta.events.on("tool_end", ended));
  if (events.turns ?? true) {
    gone.push(letta.events.on("turn_start", begins));
    gone.push(letta.events.on("turn_end", ends));
  }
  return () => {
    delete process.env.HARNESS_COMPILE_MOD;
    for (const dispose of gone.reverse()) if (typeof dispose === "function") dispose();
  };
}
