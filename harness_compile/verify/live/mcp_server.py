"""A harmless MCP server on standard input and output: SERVER LOG TOOL... Its tools only write that they ran.

Standard library only; a harness starts it by this file's path. Not covered: resources, prompts, progress.
"""

import json
import sys

server, log, tools = sys.argv[1], sys.argv[2], sys.argv[3:]
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": True}


def answer(request: dict) -> dict | None:
    method, given = request.get("method"), request.get("params") or {}
    if method == "initialize":
        version = given.get("protocolVersion", "2025-06-18")
        about = {"name": server, "version": "1.0.0"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        about = {"inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}  # else dcode wants a human
        return {"tools": [{"name": name, "description": name, **about} for name in tools]}
    if method == "tools/call":
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"mcp__{server}__{given.get('name')}\x1e\n")
        return {"content": [{"type": "text", "text": f"stand-in: {given.get('name')}"}]}
    return {} if method == "ping" else None


for line in sys.stdin:
    try:
        request = json.loads(line)
    except ValueError:
        continue
    if "id" not in request:
        continue
    said = answer(request)
    reply = {"result": said} if said is not None else {"error": {"code": -32601, "message": "not here"}}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}), flush=True)
