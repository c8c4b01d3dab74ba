"""Recipes: defaults, overrides, and one sentence with file, line and key for each slip."""

from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.recipe import Recipe, known_keys, load, recipe_digest

SOURCES = "memory: {sources: [{path: notes.md}]}\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return path


def test_only_the_sources_must_be_said(tmp_path: Path) -> None:
    recipe = load(write(tmp_path, SOURCES))
    assert recipe.base.model == "pocket"
    assert recipe.synth.families == ("recall", "apply", "reverse", "summary", "abstain")
    assert recipe.train.rank == 16
    assert recipe.check.passing.retention == 0.90
    assert recipe.memory.sources[0].format == "auto"


@pytest.mark.parametrize("text", ["2e-4", "2.0e-4", "0.0002", "2E-4", "+2e-4"])
def test_numbers_are_read_as_in_yaml_1_2(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, f"{SOURCES}train: {{lr: {text}}}\n")).train.lr == 2e-4


def test_paths_are_relative_to_the_recipe_and_overrides_to_the_current_directory(tmp_path: Path) -> None:
    path = write(tmp_path, f"out: runs/x\n{SOURCES}check: {{probes: p.jsonl}}\n")
    recipe = load(path)
    assert recipe.memory.sources[0].path == tmp_path / "notes.md"
    assert recipe.check.probes == tmp_path / "p.jsonl"
    assert recipe.out == Path("runs/x")
    said = load(path, ["memory.sources.0.path=other.md", "out=runs/y"])
    assert (said.memory.sources[0].path, said.out) == (Path("other.md"), Path("runs/y"))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.lr=1e-4", lambda recipe: recipe.train.lr == 1e-4),
        ("check.pass.margin=0.1", lambda recipe: recipe.check.passing.margin == 0.1),
        ("synth.families=[recall]", lambda recipe: recipe.synth.families == ("recall",)),
        (
            "base.model=Qwen/Qwen3-4B-Instruct-2507",
            lambda recipe: recipe.base.model == "Qwen/Qwen3-4B-Instruct-2507",
        ),
        ("train.max_steps=null", lambda recipe: recipe.train.max_steps is None),
        ("train.compile=true", lambda recipe: recipe.train.compile is True),
        (
            'route.overrides=[{unit: "a-*", to: tokens}]',
            lambda recipe: recipe.route.overrides[0].unit == "a-*",
        ),
    ],
)
def test_overrides(tmp_path: Path, override: str, value) -> None:
    assert value(load(write(tmp_path, SOURCES + "train:\n"), [override]))


@pytest.mark.parametrize(
    ("text", "sets", "sentence"),
    [
        (
            SOURCES + "train:\n  lr: 1\n  epoch: 3\n",
            [],
            "FILE:4: unknown key train.epoch; did you mean train.epochs?",
        ),
        (SOURCES + "trian: {}\n", [], "FILE:2: unknown key trian; did you mean train?"),
        (
            SOURCES + "check: {pass: {retntion: 1}}\n",
            [],
            "FILE:2: unknown key check.pass.retntion; did you mean check.pass.retention?",
        ),
        (
            SOURCES + "on: 1\n",
            [],
            "FILE:2: unknown key on; the keys here are version, seed, out, memory, route, base, "
            "synth, train, harness, check",
        ),
        ("memory: {source: []}\n", [], "FILE:1: unknown key memory.source; did you mean memory.sources?"),
        ("seed: 1\n", [], "FILE:1: missing key memory"),
        ("memory:\n  sources: []\n", [], "FILE:2: memory.sources should have at least 1 item, not []"),
        (SOURCES + "train:\n  lr: fast\n", [], 'FILE:3: train.lr should be a valid number, not "fast"'),
        (SOURCES + "train:\n  rank: '8'\n", [], 'FILE:3: train.rank should be a valid integer, not "8"'),
        (SOURCES + "train:\n  rank: 8.5\n", [], "FILE:3: train.rank should be a valid integer, not 8.5"),
        (
            SOURCES + "train:\n  rank: 0\n",
            [],
            "FILE:3: train.rank should be greater than or equal to 1, not 0",
        ),
        (
            SOURCES + "synth: {replay: 1.5}\n",
            [],
            "FILE:2: synth.replay should be less than or equal to 1, not 1.5",
        ),
        (
            SOURCES + "base: {quantize: int4}\n",
            [],
            "FILE:2: base.quantize should be 'none', 'nf4' or 'int8', not \"int4\"",
        ),
        (SOURCES + "seed: 1\nseed: 2\n", [], "FILE:3: seed is said twice, first on line 2; keep one"),
        (SOURCES + "a: &x 1\nb: *x\n", [], "FILE:3: aliases are not read here; write the value out"),
        (SOURCES + "1: 2\n", [], "FILE:2: a key must be a word"),
        ("memory: [\n", [], "FILE:2: not YAML: expected the node content, but found '<stream end>'"),
        ("", [], "FILE: is empty"),
        ("- 1\n", [], "FILE: is not a mapping of keys to values"),
        (SOURCES, ["train.rnk=1"], "--set train.rnk=1: unknown key train.rnk; did you mean train.rank?"),
        (SOURCES, ["train.rank=x"], '--set train.rank=x: train.rank should be a valid integer, not "x"'),
        (SOURCES, ["train.rank"], "--set train.rank has no meaning; write it as --set section.key=value"),
        (SOURCES, ["seed.x=1"], '--set seed.x=1: seed should be a valid integer, not {"x": 1}'),
        (
            SOURCES,
            ["memory.sources.4.path=x"],
            "--set memory.sources.4.path=x: there is no memory.sources.4 to set",
        ),
    ],
)
def test_slips_name_their_place(tmp_path: Path, text: str, sets: list[str], sentence: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DistillError) as error:
        load(path, sets)
    assert str(error.value) == sentence.replace("FILE", str(path))


def test_every_key_says_which_way_to_turn_it() -> None:
    schema = Recipe.model_json_schema(by_alias=True)
    silent = [
        f"{name}.{key}"
        for name, section in {**schema["$defs"], "Recipe": schema}.items()
        for key, field in section["properties"].items()
        if "description" not in field and "$ref" not in field
    ]
    assert silent == []
    assert "retention" in known_keys(("check", "pass"))
    assert "path" in known_keys(("memory", "sources", 0))


def test_a_digest_is_of_the_named_sections_only(tmp_path: Path) -> None:
    path = write(tmp_path, SOURCES)
    base, other = load(path), load(path, ["train.lr=1", "out=elsewhere"])
    assert recipe_digest(base, "synth", "seed") == recipe_digest(other, "synth", "seed")
    assert recipe_digest(base, "train") != recipe_digest(other, "train")
    assert recipe_digest(base) == recipe_digest(load(path, ["out=elsewhere"]))
