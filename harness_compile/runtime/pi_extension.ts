// Pi extension: asks the guard before and after every tool call, and does in Pi what it answers.
//
// Written for Pi 0.87.1 and 1.5.2. It lies in the user's folder, because Pi skips a project's extensions without
// a word where the project is not trusted, and it is quiet in projects that have no rules. A fault of the guard
// is answered as the bundle's on_error says; a fault of this file blocks the call (Pi blocks when a handler of
// tool_call throws). Not covered: a session started with --no-extensions, and the user's own `!` commands.

import { ask, hidden, printable, project, verdict } from "./ask_guard.mjs";

const AGAIN = 3; // how often in a row the end of a turn is held up
const TITLE = "A rule of this project asks first";

export default function harnessCompile(pi) {
  let where;
  let found;
  let told = false;
  let again = 0;
  let toTell = [];
  const beside = new Map(); // texts that go with the result of a call that runs

  function here(ctx) {
    if (!found || ctx.cwd !== where) {
      where = ctx.cwd;
      found = project("pi", ctx.cwd);
    }
    return found;
  }

  function facts(ctx) {
    let session = "";
    try {
      session = String(ctx.sessionManager?.getSessionId?.() ?? "");
    } catch {
      // A session that is not stored has no name; the guard then keeps one list of calls for all of them.
    }
    return { cwd: ctx.cwd, sessionId: session };
  }

  async function allowed(ctx, place, question, what) {
    if (!place.attended || ctx.hasUI !== true) return { no: "nobody is there to be asked, so it is refused" };
    const text = what ? `${question}\n\n${printable(what).slice(0, 2000)}` : question;
    return (await ctx.ui.confirm(TITLE, text)) === true ? {} : { no: "the user declined" };
  }

  function narrow(place) {
    if (!place.hide.length) return;
    const active = pi.getActiveTools().map((one) => (typeof one === "string" ? one : one.name));
    const left = active.filter((name) => !hidden(place, name));
    if (left.length !== active.length) pi.setActiveTools(left);
  }

  pi.on("session_start", async (_event, ctx) => {
    where = undefined;
    found = undefined;
    told = false;
    again = 0;
    toTell = [];
    beside.clear();
    const place = here(ctx);
    if (place) narrow(place);
  });

  pi.on("session_compact", async () => {
    told = false; // what was said at the start may have been summed up
  });

  pi.on("input", async (event, ctx) => {
    const place = here(ctx);
    if (event.source !== "extension") again = 0;
    if (!place || event.source === "extension" || !place.events.has("prompt")) return { action: "continue" };
    const said = verdict(place, await ask("pi", place, { type: "input", text: event.text, ...facts(ctx) }, ctx.signal));
    if (said.ask && !said.refuse) {
      const answer = await allowed(ctx, place, said.ask, event.text);
      if (answer.no) said.refuse = `${said.ask} (${answer.no})`;
    }
    if (said.refuse) {
      if (ctx.hasUI) ctx.ui.notify(said.refuse, "warning");
      else console.error(said.refuse);
      return { action: "handled" };
    }
    if (said.tell) toTell.push(said.tell);
    return { action: "continue" };
  });

  pi.on("before_agent_start", async (_event, ctx) => {
    const place = here(ctx);
    if (!place) return undefined;
    narrow(place);
    const texts = toTell;
    toTell = [];
    if (!told && place.events.has("session_start")) {
      const said = verdict(place, await ask("pi", place, { type: "session_start", ...facts(ctx) }, ctx.signal));
      texts.unshift(...[said.tell, said.refuse, said.ask].filter(Boolean));
      told = true;
    }
    if (!texts.length) return undefined;
    return { message: { customType: "harness-compile", content: texts.join("\n\n"), display: false } };
  });

  pi.on("tool_call", async (event, ctx) => {
    const place = here(ctx);
    if (!place) return undefined;
    const call = { type: "tool_call", toolName: event.toolName, toolCallId: event.toolCallId, input: event.input };
    const said = verdict(place, await ask("pi", place, { ...call, ...facts(ctx) }, ctx.signal));
    if (said.refuse) return { block: true, reason: said.refuse };
    if (said.ask) {
      const answer = await allowed(ctx, place, said.ask, `${event.toolName} ${JSON.stringify(event.input)}`);
      if (answer.no) return { block: true, reason: `${said.ask} (${answer.no})` };
    }
    if (said.tell) beside.set(event.toolCallId, said.tell);
    return undefined;
  });

  pi.on("tool_result", async (event, ctx) => {
    const place = here(ctx);
    if (!place) return undefined;
    const texts = [beside.get(event.toolCallId)];
    beside.delete(event.toolCallId);
    if (place.events.has("post_tool")) {
      const call = { type: "tool_result", toolName: event.toolName, toolCallId: event.toolCallId, input: event.input };
      const ended = { ...call, isError: event.isError === true, ...facts(ctx) };
      const said = verdict(place, await ask("pi", place, ended, ctx.signal));
      texts.push(said.tell, said.refuse, said.ask);
    }
    const added = texts.filter(Boolean).map((text) => ({ type: "text", text }));
    if (!added.length) return undefined;
    const patch = { content: [...(event.content ?? []), ...added] };
    if (event.structuredContent !== undefined) patch.structuredContent = event.structuredContent;
    return patch;
  });

  pi.on("agent_before_settle", async (event, ctx) => {
    const place = here(ctx);
    if (!place || !place.events.has("stop") || again >= AGAIN) return undefined;
    const answer = await ask("pi", place, { type: "agent_before_settle", ...facts(ctx) }, ctx.signal);
    const said = verdict(place, answer);
    const content = said.again ?? said.refuse ?? said.ask ?? said.tell;
    if (!content) return undefined;
    again += 1;
    const entry = { type: "custom_message", customType: "harness-compile", content, display: true };
    return { entries: [...(event.entries ?? []), entry], continue: true };
  });
}
