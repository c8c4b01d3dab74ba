"""Provenance: a whole chain holds, and each of many tamperings breaks it at the link it was done to."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import StaleError, UsageError
from distill.life.manifest import load, root_of
from distill.life.trace import trace_sample, trace_unit
from distill.life.verify import verify
from distill.records import digest_file, write_json


def broken(run: Path, root: str | None = None) -> tuple[str, str]:
    last = verify(run, root)[-1]
    return last.name, last.fault or ""


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def parquet(change: Callable[[list[dict]], list[dict]]) -> Callable[[Path], None]:
    def done(project: Path) -> None:
        import pyarrow
        import pyarrow.parquet as files

        path = project / "run/synth/dataset/conversations.parquet"
        table = files.read_table(path)
        files.write_table(pyarrow.Table.from_pylist(change(table.to_pylist()), table.schema), path)

    return done


def sample(project: Path) -> None:
    parquet(lambda rows: [{**rows[0], "answer": "on port 9."}, *rows[1:]])(project)


def sample_gone(project: Path) -> None:
    parquet(lambda rows: rows[1:])(project)


def target(project: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = project / "run/synth/dataset/targets.safetensors"
    tensors = load_file(path)
    tensors["top_logp"][3, 0] -= 0.5
    save_file(tensors, path)


def target_and_its_digest(project: Path) -> None:
    target(project)
    folder = project / "run/synth/dataset"
    said = json.loads((folder / "manifest.json").read_text())
    said["files"]["targets.safetensors"] = digest_file(folder / "targets.safetensors")
    (folder / "manifest.json").write_text(json.dumps(said))


def adapter_byte(project: Path) -> None:
    path = project / "run/adapter/adapter_model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 1
    path.write_bytes(raw)


def report_number(project: Path) -> None:
    path = project / "run/report.json"
    said = json.loads(path.read_text())
    said["arms"]["weights"]["mean"] = 0.99
    write_json(path, said)


def report_page(project: Path) -> None:
    path = project / "run/report.html"
    path.write_text(path.read_text().replace("%", " %", 1))


def memory_line(project: Path) -> None:
    replace(project / "AGENTS.md", "Maya Lund", "Mayo Lund")


def memory_between(project: Path) -> None:
    replace(project / "AGENTS.md", "# Notes", "# Nodes")


def unit_text(project: Path) -> None:
    replace(project / "run/memory.jsonl", "amber-heron runs on port 4417.", "amber-heron runs on port 4418.")


def plan_route(project: Path) -> None:
    replace(project / "run/plan.jsonl", '"to":"weights"', '"to":"tokens"')


def probe(project: Path) -> None:
    path = project / "run/probes.jsonl"
    path.write_text(re.sub(r'"reference":"[^"]+"', '"reference":"x"', path.read_text(), count=1))


def card_loss(project: Path) -> None:
    path = project / "run/adapter/card.json"
    said = json.loads(path.read_text())
    write_json(path, said | {"losses": [said["losses"][0], said["losses"][1] / 2]})


def score(project: Path) -> None:
    path = project / "run/scores.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    said = json.loads(lines[-1])
    lines[-1] = json.dumps(said | {"value": 1 - said["value"]}) + "\n"
    path.write_text("".join(lines))


def manifest(project: Path) -> None:
    path = project / "run/adapter/manifest.json"
    said = json.loads(path.read_text())
    said["files"]["report.html"] = digest_file(project / "AGENTS.md")
    write_json(path, said)


TAMPERINGS = [
    (manifest, "manifest", "adapter/manifest.json"),
    (memory_line, "memory", "AGENTS.md:6 is not the line that unit quiet-fox"),
    (memory_between, "memory", "AGENTS.md was changed between its units"),
    (unit_text, "units", "unit amber-heron"),
    (plan_route, "plan", "route of unit amber-heron"),
    (probe, "probes", "a probe of unit"),
    (sample, "samples", "answer of sample 0"),
    (sample_gone, "samples", "the dataset has"),
    (target, "targets", "targets of sample"),
    (target_and_its_digest, "targets", "targets of sample"),
    (card_loss, "training", "losses"),
    (adapter_byte, "adapter", "adapter_model.safetensors"),
    (score, "scores", "scores.jsonl"),
    (report_number, "report", "the score of arm weights"),
    (report_page, "report", "report.html"),
]


@pytest.mark.parametrize(("tamper", "link", "words"), TAMPERINGS, ids=lambda x: getattr(x, "__name__", None))
def test_a_tampering_is_found_and_named(
    project: Path, tamper: Callable[[Path], None], link: str, words: str
) -> None:
    assert verify(project / "run")[-1].fault is None
    tamper(project)
    name, fault = broken(project / "run")
    assert (name, words in fault) == (link, True), fault


@pytest.fixture(scope="module")
def other(built: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable) -> Path:
    """The same project, distilled with another seed."""
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("other") / "project"))
    shutil.rmtree(folder / "run")
    assert command(folder, "run", "distill.yaml", "--set", "seed=1").returncode in (0, 3)
    return folder


@pytest.mark.parametrize(
    ("names", "link"),
    [(["adapter_model.safetensors"], "adapter"), (["manifest.json"], "probes"), (None, "probes")],
)
def test_an_adapter_of_another_run_is_found(
    project: Path, other: Path, names: list[str] | None, link: str
) -> None:
    for path in (other / "run/adapter").iterdir():
        if names is None or path.name in names:
            shutil.copy(path, project / "run/adapter" / path.name)
    assert broken(project / "run")[0] == link


def test_a_run_forged_as_a_whole_is_told_by_its_root(project: Path) -> None:
    kept = load(project / "run").root
    forged = load(project / "run").model_copy(update={"files": {}})
    write_json(
        project / "run/adapter/manifest.json",
        forged.model_copy(update={"root": root_of(forged)}),
    )
    assert broken(project / "run")[1] == ""
    assert broken(project / "run", kept)[0] == "manifest"


def test_the_command_names_the_link_and_exits_with_3(project: Path, command: Callable) -> None:
    assert command(project, "verify", "run").returncode == 0
    adapter_byte(project)
    done = command(project, "verify", "run")
    assert done.returncode == 3
    assert "The first broken link is adapter." in done.stdout
    missing = command(project, "verify", "elsewhere")
    assert missing.returncode == 1 and "has no manifest yet" in missing.stderr


def test_a_missing_file_is_a_broken_link(project: Path) -> None:
    (project / "run/probes.jsonl").unlink()
    assert "probes.jsonl is missing" in broken(project / "run")[1]


def test_a_trace_leads_from_the_line_to_the_score(built: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=built, capture_output=True, text=True).stdout
    found = trace_unit(built / "run", "amber-heron")
    assert found["memory"][0]["place"] == "AGENTS.md:5"
    assert found["memory"][0]["commit"] == head.strip()
    assert found["samples"]["count"] == len(load(built / "run").units[0].rows) > 0
    assert set(found["report"]["arms"]) >= {"none", "tokens", "weights"}
    first = found["samples"]["shown"][0]
    start = first["digest"].removeprefix("sha256:")[:12]
    assert trace_sample(built / "run", start)["sample"]["row"] == first["row"]
    assert trace_sample(built / "run", str(first["row"]))["memory"] == found["memory"]
    for wanted in ("no-such-unit", "the-log-of"):
        with pytest.raises(UsageError, match="begin with"):
            trace_unit(built / "run", wanted)


def test_without_a_manifest_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(StaleError, match="has no manifest yet"):
        verify(tmp_path)
