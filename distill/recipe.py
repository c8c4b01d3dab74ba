"""The recipe: its YAML schema, loading it with `--set` overrides, and errors that name the line.

A recipe is read as YAML 1.2 scalars: `2e-4` is a number and `on` is a word. Repeated keys and aliases are
refused. Nothing below `cli.py` takes a Recipe; stages take the values they need.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distill.errors import RecipeError, UsageError
from distill.records import digest_of
from distill.yaml_lines import KeyPath, read_text, read_yaml

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Format = Literal[
    "auto",
    "openclaw",
    "letta",
    "letta_blocks",
    "codex",
    "deepagents",
    "pi",
    "claude_code",
    "agents_md",
    "cursor",
    "copilot",
    "gemini",
    "windsurf",
    "skills",
    "jsonl",
    "sessions",
]
Family = Literal["recall", "apply", "reverse", "summary", "abstain"]
Arm = Literal["none", "tokens", "weights", "both", "retrieval", "deployed"]
GateName = Literal["forgetting", "divergence", "false_claims", "locality", "stale"]
Target = Literal["claude_code", "letta_code", "pi", "openclaw", "deepagents", "dcode"]


class Section(BaseModel):
    """Base of the recipe's sections: frozen, strict types, unknown keys refused, docstrings kept."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Source(Section):
    format: Format = "auto"
    """How the memory is laid out. `auto` decides by the files that are there; name one to be sure of it.
    `sessions` are logs: they are counted as evidence, and never become units or training text.
    """
    path: Path
    """A memory file, or the directory it belongs to; relative to the recipe's own directory."""
    fields: dict[str, str] = {}
    """For `jsonl`: which field of a row holds what, as in `{text: body, expiration_date: meta.expires}`.
    Rows with `text`, and exports of Mem0 and Zep, need none.
    """


class Stable(Section):
    min_age_days: Annotated[int, Field(ge=0)] = 14
    """Days a unit must have stood unchanged before it is compiled. Higher compiles less and later."""
    max_edits: Annotated[int, Field(ge=0)] = 1
    """Rewrites a unit may have seen and still count as stable. Higher compiles more, and rebuilds more often.
    """


class MemorySection(Section):
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """The memories to read, in the order in which the agent loads them."""
    stable: Stable | None = None
    """How long a line must have stood, by its history in git, before it is compiled. Without this section
    (null) no history is looked at, and a unit's words decide alone.
    """


class Override(Section):
    unit: str
    """A unit id, or a glob over unit ids (`deploy-*`)."""
    to: Literal["weights", "harness", "tokens"]
    """Where it shall live. What holds a secret, personal or hostile text, contradicts another unit or may not
    last stays in tokens whatever is said here.
    """
    because: str = "the recipe says so"
    """The reason, printed in the plan."""


class RouteSection(Section):
    overrides: tuple[Override, ...] = ()
    """Routes said by hand; the first that matches a unit counts. What keeps a unit in tokens all the same is
    said at `to`.
    """


class Base(Section):
    model: str = "pocket"
    """`pocket` (ships with this package), a Hugging Face model id, or a model directory. Bigger retains more.
    """
    quantize: Literal["none", "nf4", "int8"] = "none"
    """Hold the frozen base in fewer bits: `nf4` for the least memory, `int8` for fewer surprises, `none` for
    speed.
    """
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of the base. `auto`: float32 on a CPU, bfloat16 on a GPU. float32 to rule out rounding."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; `cpu`, `cuda`, `cuda:1` to say which."""
    offload: bool = False
    """Leave the memory's keys and values with the host, and move them to the GPU layer by layer: slower, for
    a memory that does not fit beside the base. The result does not change.
    """


class Synth(Section):
    per_unit: Count = 24
    """Questions per memory unit. Raise it when units are lost (20 to 40 is usual); cost grows in step."""
    repair: Annotated[int, Field(ge=0)] = 0
    """Most extra samples for a unit that the dev probes say was not retained. They are made, and the adapter
    trained again, in two rounds; what still fails returns to the residual memory. 0 does none of it.
    """
    families: Annotated[tuple[Family, ...], Field(min_length=1)] = (
        "recall",
        "apply",
        "reverse",
        "summary",
        "abstain",
    )
    """Kinds of question the teacher writes. Fewer is faster; without `abstain` the student starts to make
    things up.
    """
    top_k: Count = 20
    """Teacher's tokens kept per position; the rest goes in one tail bucket. Raise when answers are
    open-ended.
    """
    replay: Share = 0.1
    """Share of samples that are not about the memory, to keep the base's skills. Raise it when forgetting
    shows.
    """
    near: Share = 0.1
    """Share of the questions that are asked once more about a name that the memory does not know, to be
    answered as the base does. Raise it when locality fails.
    """
    reading: Share = 0.1
    """Share of the questions that are asked once more with other values in context, to be answered from
    there. Raise it when the adapter disturbs what stays in context.
    """
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """How freely questions are written. Raise when many duplicates are filtered, lower when many are
    nonsense.
    """
    max_new_tokens: Count = 256
    """Longest question or answer, in tokens. Raise it when answers end in mid-sentence."""
    batch_size: Count = 32
    """Sequences generated at once. Lower it when memory runs out."""
    teacher: Literal["local", "openai"] = "local"
    """`local`: the base model itself in this process. `openai`: the same model behind an OpenAI-compatible
    server.
    """
    endpoints: tuple[str, ...] = ()
    """Base URLs of the servers for `teacher: openai`, used in turn. More are faster."""
    model: str | None = None
    """The model's name on those servers, where it is not `base.model`."""
    targets: Literal["server", "local"] = "server"
    """Of served answers. `server`: the log-probabilities that the server gives, where it gives top_k of them
    and they are the base's; else, as with `local`, the base scores the answers here, which takes longer.
    """


class Train(Section):
    method: Literal["off_policy"] = "off_policy"
    """`off_policy`: the student learns the teacher's distributions on the teacher's own answers."""
    rank: Count = 16
    """Rank of the LoRA. 16 up to ten thousand tokens of memory, 32 beyond; higher may forget more."""
    alpha: Count = 32
    """Scale of the LoRA, usually twice the rank. Higher acts like a higher lr."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Peak learning rate; null takes 0.5 over the base's hidden size (2e-4 for a 4B). Halve it when
    forgetting shows or the loss jumps; double it when the loss still falls.
    """
    epochs: Count = 3
    """Passes over the dataset. Raise it when units are lost and coverage is complete."""
    batch_tokens: Count = 16384
    """Most tokens in one forward pass. Lower it when memory runs out; the result does not change."""
    batch_size: Count = 32
    """Sequences per optimizer step. Lower means more, noisier steps."""
    seeds: Count = 1
    """Adapters trained, each with its own seed; the first is the one to deploy. With two or more, the
    verdict's interval allows for what another seed would have given.
    """
    accumulate: Count = 1
    """Forward passes that a step is split in at least. Raise it when memory runs out; the result does not
    change.
    """
    excerpts: Share = 0.1
    """Extra samples, as a share of those about the memory, that the student answers with a piece of the
    memory in context. They keep it reading what is before it. Raise it where arm `both` is below `tokens`.
    """
    warmup: Share = 0.03
    """Share of the steps in which lr climbs to its peak. Raise it when the first steps jump."""
    max_steps: Count | None = None
    """Stop after so many optimizer steps whatever `epochs` says; null for no limit."""
    eval_every: Count = 50
    """Steps between two looks at the dev split. Lower finds the best step more exactly, and costs time."""
    patience: Annotated[int, Field(ge=0)] = 4
    """Looks without progress before training stops early; 0 never stops early."""
    checkpoint_every: Count = 100
    """Steps between two checkpoints: what a kill can cost. Lower it where machines are taken away."""
    checkpointing: bool | None = None
    """Make activations anew on the way back, which takes a third more time and a tenth of the memory; null:
    on a GPU. The result does not change. `distill run --dry-run` says what fits.
    """
    shard: bool = False
    """Spread the frozen base over the processes of a training (FSDP2), where one GPU does not hold it. It
    needs base.quantize none. `accelerate launch --use_fsdp` says the same. The result does not change.
    """
    compile: bool = False
    """Compile the model with torch.compile: slow to begin, faster on long runs on a GPU."""


class HarnessSection(Section):
    targets: tuple[Target, ...] = ()
    """Harnesses to compile constraints for."""
    on_error: Literal["deny", "ask", "warn"] = "deny"
    """What a guard answers when it cannot decide. `deny` is the safe one, `warn` the quiet one."""


class Pass(Section):
    retention: Share | None = 0.90
    """Least retention, as its interval's lower bound. Raise it to ask for more of the memory. This threshold
    and those below may be null: then the figure is reported without a verdict.
    """
    margin: Annotated[float, Field(ge=0.001, le=1)] = 0.05
    """How much worse than the memory in context still counts as non-inferior. Smaller needs more probes."""
    forgetting: Share | None = 0.02
    """Most of the base's answers to unrelated prompts that may change. Raise it for a small model, whose
    wording is loose.
    """
    divergence: Annotated[float, Field(ge=0)] | None = None
    """Most KL to the base on unrelated prompts, in nats a token. It has no scale of its own: set it from runs
    that did no harm.
    """
    false_claims: Share | None = 0.05
    """Most questions that the memory does not answer and the adapter does. Raise synth.replay, or add abstain
    to synth.families, where it fails.
    """
    locality: Share | None = 0.05
    """Most questions about other names and other projects that are not answered as the base answers them."""
    stale: Share | None = 0.0
    """Most changed and deleted lines whose old value the adapter still prefers."""
    returns: Annotated[float, Field(ge=0, le=1)] | None = 0.05
    """How much worse than the base the adapter may read the memory when it is back in context. Raise
    train.excerpts where it fails.
    """
    ifeval: Share | None = 0.05
    """Most prompts of check.ifeval that the adapter follows fewer than the base, as a share of all."""
    compliance: Share = 0.95
    """Least share of tempted calls that are stopped."""
    overblock: Share = 0.01
    """Most share of innocent calls that are stopped."""


class Check(Section):
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)] = ("none", "tokens", "weights", "both")
    """Ways to answer the probes. `none` and `tokens` are what retention is measured against. `deployed` is
    the adapter with what the plan leaves in context and with the guard of the first of harness.targets;
    where it is named the verdict is about it, and what is left in context is probed as well. `retrieval`
    spends the tokens of what is left on units that a search finds.
    """
    passing: Pass = Field(default=Pass(), alias="pass")
    """Thresholds of the verdict."""
    gates: tuple[GateName, ...] = ("forgetting", "divergence", "false_claims", "locality", "stale")
    """What is measured beside the probes; fewer are faster. Arm `both` brings one more: whether the memory
    can come back.
    """
    before: Path | None = None
    """The directory of an earlier run, to find lines that have changed since; null takes what this run judged
    last.
    """
    ifeval: Path | None = None
    """A file of IFEval's prompts (JSONL as published), relative to the recipe's directory: how many fewer the
    adapter follows than its base is one gate more. Needs the extra [ifeval], and a base that follows some.
    """
    pilot: bool = True
    """Ask the dev probes first, to say how many probes the verdict takes."""
    probes_per_unit: Count = 8
    """Held-out questions per unit. More narrow the interval and cost time."""
    cloze: Share = 0.5
    """Share of the units that have probes which hide the end of a sentence; the base model writes the
    others. 1 where it writes poorly.
    """
    probes: Path | None = None
    """Your own probes, a JSONL file relative to the recipe's directory; used instead of written ones."""
    bootstrap: Count = 2000
    """Resamples behind each interval. More is smoother; 2000 is enough."""
    min_probes: Count = 371
    """Fewer probes than this give no verdict (371: 80 % power at a 5-point margin)."""


class Recipe(Section):
    """A whole recipe. Sections that are left out have their defaults; only `memory.sources` must be said."""

    version: Literal[1] = 1
    """Version of this schema."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Every random choice follows from it. Change it to see how much of a result is luck."""
    out: Path = Path("runs/memory")
    """The run directory, relative to the current directory. Each recipe needs its own."""
    memory: MemorySection
    route: RouteSection = RouteSection()
    base: Base = Base()
    synth: Synth = Synth()
    train: Train = Train()
    harness: HarnessSection = HarnessSection()
    check: Check = Check()


def load(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe file and apply `a.b=c` overrides, whose values are YAML.

    Paths in the file are taken from the file's directory, paths in an override and `out` from the current
    one. Raises RecipeError naming file, line and dotted key, UsageError for an override without `=`, OSError.
    """
    data, lines = read_yaml(path)
    _from_directory(data, Path(path).parent)
    said = [_override(data, text) for text in overrides]
    try:
        return Recipe.model_validate_json(
            json.dumps({key: value for key, value in data.items() if value is not None})
        )
    except ValidationError as error:
        raise _explain(error, str(path), lines, dict(zip(said, overrides, strict=True))) from None


def recipe_digest(recipe: Recipe, *sections: str) -> str:
    """Digest of the named top-level sections (`"synth"`, `"seed"`); of all but `out` when none is named."""
    data = recipe.model_dump(mode="json", by_alias=True)
    return digest_of({key: data[key] for key in (sections or [key for key in data if key != "out"])})


def _from_directory(data: dict[str, Any], directory: Path) -> None:
    """Make the paths of a raw recipe relative to the current directory. Leaves what has the wrong shape."""
    memory, check = data.get("memory"), data.get("check")
    sources = memory.get("sources") if isinstance(memory, dict) else None
    places = (
        [(item, "path") for item in sources if isinstance(item, dict)] if isinstance(sources, list) else []
    )
    if isinstance(check, dict):
        places += [(check, "probes"), (check, "before"), (check, "ifeval")]
    for holder, key in places:
        if isinstance(holder.get(key), str):
            holder[key] = os.path.normpath(directory / os.path.expanduser(holder[key]))


def _override(data: dict[str, Any], text: str) -> KeyPath:
    """Set one `a.b=c` in the raw recipe; the key as a tuple. A number steps into a list."""
    key, equals, value = text.partition("=")
    path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    if not equals or "" in path:
        raise UsageError(f"--set {text} has no meaning", mend="write it as --set section.key=value")
    node: Any = data
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(node, list) and isinstance(part, int) and part < len(node):
            if last:
                node[part] = read_text(value, f"--set {text}")
            node = node[part]
        elif isinstance(node, dict):
            part = str(part)
            if last:
                node[part] = read_text(value, f"--set {text}")
            elif node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            raise UsageError(f"--set {text}: there is no {'.'.join(map(str, path[: depth + 1]))} to set")
    return path


def _explain(
    error: ValidationError, file: str, lines: dict[KeyPath, int], said: dict[KeyPath, str]
) -> RecipeError:
    """The first complaint of pydantic as one sentence with its key and its line or `--set`."""
    details = error.errors()
    detail = next((item for item in details if item["type"] == "extra_forbidden"), details[0])
    place = tuple(detail["loc"])
    key = ".".join(map(str, place))
    kind, got = detail["type"], detail["input"]
    mend = None
    if kind == "extra_forbidden":
        message = f"unknown key {key}"
        keys = known_keys(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), keys, n=1, cutoff=0.6)
        guess = ".".join(map(str, (*place[:-1], *near)))
        mend = f"did you mean {guess}?" if near else f"the keys here are {', '.join(keys)}"
    elif kind == "missing":
        message = f"missing key {key}"
    else:
        want = detail["msg"].removeprefix("Input ").replace("Tuple should have", "should have")
        message = f"{key} {want.split(' after validation')[0]}, not {json.dumps(got, ensure_ascii=False)}"
    deeper = (key for key in said if place and key[: len(place)] == place)
    above = (place[:length] for length in range(len(place), 0, -1) if place[:length] in said)
    for key in (*deeper, *above):
        return RecipeError(message, file=f"--set {said[key]}", mend=mend)
    line = next(lines[place[:length]] for length in range(len(place), -1, -1) if place[:length] in lines)
    return RecipeError(message, file=file, line=line, mend=mend)


def known_keys(place: KeyPath) -> list[str]:
    """The keys of the section at a dotted place; none where there is no section."""
    schema = Recipe.model_json_schema(by_alias=True)
    node: dict[str, Any] = schema
    for part in place:
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return list(node.get("properties", {}))
