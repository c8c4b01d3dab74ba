"""One request of the chat completions protocol: what is sent, what may come back, words for what went wrong.

Pure but for `ask`, `explain` and `models`, which send one request each. Retrying is `server.py`'s. A server's
error text may quote the prompt, so of it only the short error code is used.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

from distill.errors import ModelError

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses that may pass by themselves."""
TOO_LONG = re.compile(
    r"context[ _](length|window)|(maximum|max) context|max_model_len|prompt is too long", re.I
)
MENDS = {
    401: ("refuses the key", "set OPENAI_API_KEY to a key that this server knows"),
    403: ("refuses access with this key", "set OPENAI_API_KEY to a key that may use this model"),
    404: ("has no such address or model", "end synth.endpoints in /v1, and check synth.model"),
    413: ("finds the conversation too large", "distill a smaller memory, or raise the server's limit"),
}
MODEL_FAULTS = frozenset({400, 404, 422})
UNSCORED = frozenset({400, 422, 500, 501})
"""Statuses with which servers refuse to give log-probabilities."""
WHOLE = frozenset({"stop", "eos", "eos_token"})
BROKEN = frozenset({"abort", "error"})
"""Reasons to finish: the model's own end, and the server's faults. After any other an answer is cut off."""


@dataclass(frozen=True)
class Reply:
    """One answer. `truncated`: it is not said to be whole; mostly it is stopped at `max_tokens`.

    `scores` and the ids are as the server gave them, unread; None where it did not.
    """

    text: str = field(repr=False)
    truncated: bool
    endpoint: str = ""  # who answered, as it may be printed
    scores: Any = field(default=None, repr=False)  # `logprobs` of the choice
    ids: Any = field(default=None, repr=False)
    prompt_ids: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Fault:
    """Why there is no reply, in words that hold nothing of the prompt."""

    what: str
    mend: str | None = None
    again: bool = False  # whether asking again may help
    limited: bool = False  # whether the server said that it is asked too often
    wait: float | None = None  # seconds that the server asks for
    status: int | None = None


def base_url(endpoint: str) -> str:
    """The address up to `/v1`, from one with or without it. Raises ModelError for what is no HTTP address."""
    text = endpoint.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host or url.query:
        raise ModelError(
            f"{printable(text)!r} is no address of a server",
            mend="write synth.endpoints as http://host:port/v1",
        )
    return text if url.path.strip("/") else f"{text}/v1"


def printable(endpoint: str) -> str:
    """An address without user, password and query."""
    return re.sub(r"//[^/@]*@", "//", endpoint).split("?")[0]


def headers(api_key: str | None) -> dict[str, str]:
    """The headers of every request. Raises ModelError for a key that no header can hold."""
    if not api_key:
        return {}
    if not re.fullmatch(r"[!-~]+", api_key.strip()):
        raise ModelError("OPENAI_API_KEY holds characters that no key has", mend="set it again, on one line")
    return {"Authorization": f"Bearer {api_key.strip()}"}


def request_body(
    model: str, messages: list[dict], max_tokens: int, temperature: float, seed: int, scores: int = 0
) -> dict:
    """With `scores`, so many log-probabilities a token are asked for, and token ids in the words of vLLM and
    SGLang; llama.cpp gives ids unasked."""
    asked = {"logprobs": True, "top_logprobs": scores, "return_tokens_as_token_ids": True}
    return {
        "model": model,
        "messages": messages,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
        **({**asked, "return_token_ids": True} if scores else {}),
    }


async def ask(client: httpx2.AsyncClient, url: str, body: dict) -> Reply | Fault:
    """Send one conversation. Every way in which a server can fail comes back as a Fault."""
    try:
        response = await client.post(f"{url}/chat/completions", json=body)
    except httpx2.ConnectTimeout:
        return Fault("cannot be reached in time", again=True)
    except httpx2.TimeoutException:
        return Fault("did not answer in time", again=True)
    except httpx2.ConnectError:
        return Fault("cannot be reached", again=True)
    except (httpx2.NetworkError, httpx2.RemoteProtocolError):
        return Fault("broke off its answer", again=True)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Fault(f"cannot be asked ({type(error).__name__})", mend="correct synth.endpoints")
    return read_reply(response.content) if response.status_code == 200 else read_fault(response)


def read_reply(content: bytes) -> Reply | Fault:
    """The answer in a chat completion."""
    try:
        whole = json.loads(content)
        choice = whole["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text = message["content"] if message.get("content") is not None else ""
        tools = message.get("tool_calls")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        whole, choice, text, tools, finish = {}, {}, None, None, None
    if not isinstance(text, str):
        return Fault(
            "answers with something that is no chat completion", mend="see that synth.endpoints end in /v1"
        )
    if tools and not text:
        return Fault("turns answers into tool calls", mend="start it without a parser for tool calls")
    if finish in BROKEN:
        return Fault("broke off its answer", again=True)
    ids = choice.get("token_ids")
    scores, prompt = choice.get("logprobs"), whole.get("prompt_token_ids")
    return Reply(text, finish not in WHOLE, scores=scores, ids=ids, prompt_ids=prompt)


def read_fault(response: httpx2.Response) -> Fault:
    """What a status other than 200 means."""
    status, code = response.status_code, error_code(response.content)
    said = f"{status}, {code}" if code else str(status)
    if status in AGAIN and code != "insufficient_quota":
        limited = status == 429
        what = f"is asked too often ({said})" if limited else f"fails ({said})"
        return Fault(what, again=True, limited=limited, wait=retry_after(response.headers), status=status)
    if code == "insufficient_quota":
        return Fault(
            f"has no quota left for this key ({said})", mend="raise the quota, or use another endpoint"
        )
    if status in (400, 413, 422) and TOO_LONG.search(response.text):
        mend = "start it with a longer context, or distill a smaller memory"
        return Fault(f"cannot hold the conversation in its context ({said})", mend=mend)
    if 300 <= status < 400:
        return Fault(
            f"sends the request elsewhere ({said})", mend="put the address that it names in synth.endpoints"
        )
    what, mend = MENDS.get(status, ("does not accept the request", "its own log says why"))
    return Fault(f"{what} ({said})", mend=mend, status=status)


def error_code(content: bytes) -> str | None:
    """The short code of an error body, where it has one; never its message, which may quote the prompt."""
    try:
        error = json.loads(content)["error"]
        code: Any = error.get("code") or error.get("type")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{3,40}", code) else None


def retry_after(headers: httpx2.Headers) -> float | None:
    """The seconds that `Retry-After` asks for; it may also hold a date."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


async def explain(client: httpx2.AsyncClient, url: str, model: str, fault: Fault) -> ModelError:
    """The error for a fault that does not pass. Where the model may be the cause, asks which there are."""
    what, mend = fault.what, fault.mend
    if fault.status in MODEL_FAULTS:
        names = await models(client, url)
        if names and model not in names:
            what = f"has no model {model}"
            mend = f"set synth.model to one that it has: {', '.join(names[:5])}"
    return ModelError(what, file=printable(url), mend=mend)


async def models(client: httpx2.AsyncClient, url: str) -> list[str]:
    """The models that a server says it has; none where it does not say."""
    try:
        response = await client.get(f"{url}/models", timeout=10)
        return [str(item["id"]) for item in response.json()["data"]]
    except (httpx2.HTTPError, ValueError, LookupError, TypeError):
        return []
