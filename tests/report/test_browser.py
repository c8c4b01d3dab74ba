"""The report in a real browser: no error on its console, no request to the outside. Skipped where none is."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from distill.report.page import html
from tests.report.made_up import report, whole

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for is asked of nobody
)


def opened(page: str, folder: Path, *words: str) -> tuple[str, list[str], list[str]]:
    """The DOM after the page was opened, what its console said, and what it asked the network for."""
    file, log = folder / "report.html", folder / "net.json"
    file.write_text(page)
    done = subprocess.run(
        [
            str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
            "--enable-logging=stderr", "--virtual-time-budget=2000", *words, "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    events = json.loads(log.read_text())["events"]
    asked = [event.get("params", {}) for event in events]
    urls = {one["url"] for one in asked if one.get("initiator", "not an origin") != "not an origin"}
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return done.stdout, console, sorted(url for url in urls if url.startswith(("http", "ws")))


@pytest.mark.parametrize("words", [(), ("--blink-settings=preferredColorScheme=0", "--window-size=390,800")])
def test_a_browser_finds_nothing_to_complain_about(tmp_path: Path, words: tuple[str, ...]) -> None:
    dom, console, asked = opened(html(whole()), tmp_path, *words)
    assert console == [] and asked == []
    assert dom.count("<svg ") == 3 and dom.count('class="mark') == 7
    assert "What more synthesis buys" in dom and "went back to the residual memory" in dom


def test_the_browser_would_see_an_error_and_a_request(tmp_path: Path) -> None:
    bad = html(report()).replace("</main>", '<img src="https://example.org/x.png"></main>')
    (tmp_path / "refused").mkdir()
    _, console, _ = opened(bad, tmp_path / "refused")
    assert any("Content Security Policy" in line for line in console)  # the page's own policy refuses it
    bare = '<img src="https://example.org/x.png"><script>undefined_name()</script>'
    _, console, asked = opened(bare, tmp_path)
    assert any("undefined_name" in line for line in console)
    assert any("example.org" in url for url in asked)
