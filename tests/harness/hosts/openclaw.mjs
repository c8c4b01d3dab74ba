// A stand-in of OpenClaw's side of a plugin: registers it, plays events at it and prints what it answered.
import { pathToFileURL } from "node:url";

const [path] = process.argv.slice(2);
let text = "";
for await (const part of process.stdin) text += part;
const given = JSON.parse(text);
const handlers = {};
const registered = [];
const api = {
  config: given.config ?? {},
  runtime: {
    config: { current: () => given.config ?? {} },
    agent: { resolveAgentWorkspaceDir: (_config, agent) => given.workspaces?.[agent] ?? given.cwd },
  },
  on: (name, handler, options) => (registered.push([name, options ?? {}]), ((handlers[name] ??= []).push(handler))),
  registerAgentToolResultMiddleware: (handler, options) => (
    registered.push(["middleware", options]), ((handlers.middleware ??= []).push(handler))
  ),
};
// As OpenClaw does: one module for the tool hooks, another one for the middleware.
const plugin = (await import(pathToFileURL(path).href)).default;
plugin.register({ ...api, registerAgentToolResultMiddleware: () => {} });
const other = (await import(`${pathToFileURL(path).href}?again`)).default;
other.register({ ...api, on: () => {} });
const results = [];
for (const [name, event, more] of given.steps) {
  let said;
  for (const handler of handlers[name] ?? []) {
    try {
      said = (await handler(event, { agentId: "main", sessionKey: "agent:main:main", ...more })) ?? said;
    } catch (error) {
      said = { block: true, thrown: String(error) };
    }
  }
  results.push(said ?? null);
}
process.stdout.write(JSON.stringify({ id: plugin.id, results, registered }));
