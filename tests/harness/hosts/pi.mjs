// A stand-in of Pi's side of an extension: plays events at it and prints what it answered.
import { pathToFileURL } from "node:url";

const [path] = process.argv.slice(2);
let text = "";
for await (const part of process.stdin) text += part;
const given = JSON.parse(text);
const handlers = {};
const seen = { asked: [], notified: [], active: given.tools ?? ["read", "bash"] };
const pi = {
  on: (name, handler) => (handlers[name] ??= []).push(handler),
  getActiveTools: () => seen.active,
  setActiveTools: (names) => (seen.active = names),
};
const answers = [...(given.answers ?? [])];
const ctx = {
  cwd: given.cwd,
  hasUI: given.hasUI === true,
  sessionManager: { getSessionId: () => "made-up" },
  ui: {
    confirm: async (title, message) => (seen.asked.push([title, message]), answers.shift() ?? false),
    notify: (message) => seen.notified.push(message),
  },
};
(await import(pathToFileURL(path).href)).default(pi);
const results = [];
for (const [name, event] of given.steps) {
  let said;
  // Like Pi: a block ends it, a later answer replaces an earlier one, and what is thrown at a tool_call blocks.
  for (const handler of handlers[name] ?? []) {
    try {
      said = (await handler({ type: name, entries: [], ...event }, ctx)) ?? said;
    } catch (error) {
      said = { block: true, thrown: String(error) };
    }
    if (said?.block) break;
  }
  results.push(said ?? null);
}
process.stdout.write(JSON.stringify({ results, ...seen }));
