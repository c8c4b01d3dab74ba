// OpenClaw plugin: asks the guard before and after every tool call, and does in OpenClaw what it answers.
//
// Written for OpenClaw 2026.9.6. It is quiet in workspaces that have no rules. A fault of the guard is answered as
// the bundle's on_error says; a fault of this file blocks the call (OpenClaw blocks when before_tool_call throws
// or takes longer than its time). Not covered: `openclaw agent exec`, which loads no plugins; a plugin that
// rewrites parameters, of which this one sees only the original; other runtimes' own tools; the end of a turn, which
// OpenClaw does not hold up once a call may have changed something.

import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { ask, project, verdict } from "./ask_guard.mjs";

const ID = "harness-compile";
const KEPT = 1000; // sessions and calls that are remembered

// OpenClaw registers this plugin several times in one process, each time from a module of its own, and calls the hooks
// of one and the middleware of another: what they share is kept where all of them find it.
const SHARED = Symbol.for(`${ID}.shared`);
const shared = (globalThis[SHARED] ??= {
  places: new Map(), // workspace: its project, so that rules which vanish are missed
  starts: new Map(), // session: what its start is told
  beside: new Map(), // call: text that goes with its result
});

export default definePluginEntry({
  id: ID,
  name: "harness-compile",
  description: "Asks the rules that were compiled from a workspace's memory before every tool call.",
  register(api) {
    const { places, starts, beside } = shared;

    function keep(map, key, value) {
      map.set(key, value);
      if (map.size > KEPT) map.delete(map.keys().next().value);
    }

    function workspace(event, ctx) {
      const said = ctx?.workspaceDir ?? event?.cwd;
      if (typeof said === "string" && said) return said;
      const config = api.runtime?.config?.current?.() ?? api.config;
      return api.runtime?.agent?.resolveAgentWorkspaceDir?.(config, ctx?.agentId ?? "main") ?? process.cwd();
    }

    function here(event, ctx) {
      const at = workspace(event, ctx);
      if (!places.get(at)) keep(places, at, project("openclaw", at));
      const place = places.get(at);
      return place && { ...place, at };
    }

    function facts(event, ctx, place) {
      const session = ctx?.sessionKey ?? event?.sessionKey ?? ctx?.sessionId ?? event?.sessionId ?? "";
      const inside = /:subagent:/.test(session) ? { agent_type: String(ctx?.agentId ?? "subagent") } : {};
      return { cwd: place.at, ctx: { sessionKey: String(session), agentId: String(ctx?.agentId ?? "") }, ...inside };
    }

    async function asked(hook, event, ctx, place, more) {
      const answer = await ask("openclaw", place, { hook, ...more, ...facts(event, ctx, place) }, ctx?.abortSignal);
      return { answer, said: verdict(place, answer) };
    }

    function question(text) {
      return {
        requireApproval: {
          title: "A rule of this project asks first",
          description: text.slice(0, 512),
          severity: "warning",
          allowedDecisions: ["allow-once", "deny"],
          timeoutMs: 300_000,
        },
      };
    }

    api.on(
      "before_tool_call",
      async (event, ctx) => {
        const place = here(event, ctx);
        if (!place) return undefined;
        const id = event.toolCallId ?? ctx?.toolCallId ?? "";
        const call = { toolName: event.toolName, params: event.params, toolCallId: id };
        const { said } = await asked("before_tool_call", event, ctx, place, call);
        if (said.refuse) return { block: true, blockReason: said.refuse };
        if (said.ask && !place.attended) {
          return { block: true, blockReason: `${said.ask} (nobody is there to be asked, so it is refused)` };
        }
        if (said.tell && id) keep(beside, id, said.tell);
        return said.ask ? question(said.ask) : undefined;
      },
      { priority: 1000, timeoutMs: 30_000 },
    );

    // What the model sees of a result is changed here and nowhere else: the hooks after a tool only reach the
    // transcript.
    api.registerAgentToolResultMiddleware(
      async (event, ctx) => {
        const place = here({}, ctx);
        if (!place) return undefined;
        const texts = [beside.get(event.toolCallId)];
        beside.delete(event.toolCallId);
        if (place.events.has("post_tool")) {
          const failed = event.isError === true;
          const call = { toolName: event.toolName, params: event.args, toolCallId: event.toolCallId, isError: failed };
          const { said } = await asked("after_tool_call", event, ctx, place, call);
          texts.push(said.tell, said.refuse, said.ask);
        }
        const added = texts.filter(Boolean).map((text) => ({ type: "text", text }));
        if (!added.length) return undefined;
        return { result: { ...event.result, content: [...(event.result?.content ?? []), ...added] } };
      },
      { runtimes: ["openclaw"] },
    );

    // OpenClaw reports a refused registration where a plugin may not see conversations; only ask where it may.
    if (api.config?.plugins?.entries?.[ID]?.hooks?.allowConversationAccess !== true) return;

    api.on(
      "before_agent_run",
      async (event, ctx) => {
        const place = here(event, ctx);
        if (!place || !place.events.has("prompt")) return { outcome: "pass" };
        const { said } = await asked("before_prompt_build", event, ctx, place, { prompt: event.prompt });
        const no = said.refuse ?? said.ask;
        return no ? { outcome: "block", reason: "a rule of this project", message: no } : { outcome: "pass" };
      },
      { priority: 1000, timeoutMs: 30_000 },
    );

    api.on(
      "before_prompt_build",
      async (event, ctx) => {
        const place = here(event, ctx);
        if (!place) return undefined;
        const result = {};
        if (place.events.has("session_start")) {
          const session = String(ctx?.sessionKey ?? ctx?.sessionId ?? "");
          if (!starts.has(session)) {
            const { said } = await asked("session_start", event, ctx, place, {});
            keep(starts, session, [said.tell, said.refuse, said.ask].filter(Boolean).join("\n\n"));
          }
          if (starts.get(session)) result.appendSystemContext = starts.get(session);
        }
        if (place.events.has("prompt")) {
          const prompt = event.currentUserMessage ?? event.prompt;
          const { said } = await asked("before_prompt_build", event, ctx, place, { prompt });
          if (said.tell) result.prependContext = said.tell;
        }
        return result;
      },
      { timeoutMs: 30_000 },
    );
  },
});
