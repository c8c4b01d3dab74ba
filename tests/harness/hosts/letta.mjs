// A stand-in for Letta Code: loads the mod and feeds it events. stdin: {events: [[kind, event], …]}; stdout: what
// the mod answered to each, or {throws: message}. Not covered: Letta Code itself.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: activate } = await import(pathToFileURL(process.argv[2]).href);
const given = JSON.parse(readFileSync(0, "utf8"));
const handlers = new Map();
let permission;
const dispose = activate({
  capabilities: { permissions: true, events: { tools: true, turns: true } },
  permissions: { register: (one) => ((permission = one), () => {}) },
  events: { on: (name, handler) => (handlers.set(name, handler), () => {}) },
});
const context = { cwd: process.cwd() };
const answers = [];
for (const [kind, event] of given.events) {
  const whole = { agentId: "a", conversationId: "c", ...event };
  try {
    const said =
      kind === "check"
        ? await permission.check({ cwd: process.cwd(), workingDirectory: process.cwd(), ...whole }, context)
        : await handlers.get(kind)(whole, context);
    answers.push(said ?? null);
  } catch (error) {
    answers.push({ throws: error.message });
  }
}
const alive = process.env.HARNESS_COMPILE_MOD;
dispose();
console.log(JSON.stringify({ answers, alive, pid: process.pid, after: process.env.HARNESS_COMPILE_MOD ?? null }));
