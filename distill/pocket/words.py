"""Word lists and name makers of the pocket world. No sentence of any real memory is in here.

Names are combinations (an adjective and a noun, or syllables), so there are many more than a training run can see.
`is_heldout` splits names and open values by a checksum: evaluation uses only the held-out part, training never does.
"""

from __future__ import annotations

import random
import zlib

ADJECTIVES = (
    "amber brisk calm dusty eager faint gentle hollow icy jolly keen lively mellow noble oaken pale quiet rapid silver tidy "
    "urban vivid warm young zesty azure bold crisp dense early fresh grand humble inner jade lunar misty north olive prime "
    "royal sandy tall upper velvet white bronze cobalt ember frosty golden hazel ivory brave clear deep distant even fair "
    "green heavy little lone narrow open plain proud red round rustic sharp simple slow small soft solar steady still sunny "
    "swift thin wide wild winter wooden blue black grey violet scarlet copper coral cosmic dark electric hidden"
).split()
NOUNS = (
    "kestrel harbor lantern meadow nectar orchid pebble quarry river saddle thistle umber valley willow yarrow zephyr anchor "
    "beacon cedar delta engine falcon garnet hammer island jigsaw kettle ladder magnet needle otter parcel quiver ribbon "
    "socket timber vessel walnut badger canyon dagger easel ferry glacier helmet ingot jasmine kernel lagoon marble acorn "
    "basket candle dragon eagle forest garden hill igloo jacket kite lake mirror nest ocean piano queen rocket shell tower "
    "unicorn violin wagon bridge cabin desert echo fountain grove heron iris jungle knot lemon maple night oasis pine reef "
    "stone tiger vault wave yacht zebra atlas bishop comet dune ember fox gate hawk pilot raven spruce"
).split()
FIRST = (
    "Ada Boris Chen Dara Emil Farah Goro Hana Igor Jun Kofi Lena Mira Nils Omar Priya Quinn Rosa Sven Tara Uma Viktor Wei "
    "Xena Yuki Zane Aldo Bea Cyrus Dina Elif Finn Greta Hugo Ines Jonas Kira Luca Maya Noor Olga Pavel Rafi Sana Tomas Vera"
).split()
LAST = (
    "Abbot Brandt Castro Dunn Ekholm Fischer Grant Hale Ibsen Jones Kato Lund Moss Nagy Okoro Patel Quist Reyes Silva Thorn "
    "Ueda Voss Wolfe Xu Young Zeller Arslan Becker Cohen Diaz Evans Farouk Gupta Hansen Ito Jensen Khan Lopez Meyer Novak"
).split()
TOOLS = (
    "ruff pytest pnpm cargo gradle bazel make npm poetry tox mypy black eslint jest vitest docker terraform ansible helm "
    "kubectl yarn bun deno uv pip hatch nox just task go mvn rake bundle composer cmake ninja meson biome prettier flake8 "
    "pylint isort gofmt rustfmt clippy swift dotnet"
).split()
SUBCOMMANDS = "test check run build lint verify ci all unit fast start sync up format watch fix release deploy ship".split()
FLAGS = "--fast --all --silent --strict --watch --no-cache --verbose -q -x --ci --locked --frozen --quiet --release -v -n 4".split()
DATABASES = "Postgres MySQL SQLite Redis MongoDB Cassandra ClickHouse DuckDB MariaDB Neo4j Oracle DynamoDB".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
EXTENSIONS = "toml yaml yml json ini env cfg md ts py rs go txt".split()
FOLDERS = (
    "src lib docs config scripts tests packages apps tools infra deploy build core api web server client data assets ops notes "
    "internal cmd bin etc conf services modules common shared types utils"
).split()
TOPICS = (
    "cache login search billing parser router queue export import editor report mailer upload worker index layout theme token "
    "session payment backup metrics logging gateway schema profile widget crawler invoice"
).split()
PREFIXES = "feat fix chore docs perf wip hot ops sec ui dev rel qa exp bug task story spike".split()
_ONSETS = "b c d f g h j k l m n p r s t v w z br cr dr fl gr kl pl qu sh sk st th tr vr".split()
_VOWELS = "a e i o u a e i o ai ea io ou".split()
_CODAS = ["", "", "", "n", "r", "s", "l", "x", "k", "m", "nd", "rt"]


def is_heldout(name: str) -> bool:
    """True for one name in eight, by checksum: never used in training, always in evaluation."""
    return zlib.crc32(name.lower().encode()) % 8 == 0


def syllables(r: random.Random, low: int = 2, high: int = 3) -> str:
    return "".join(r.choice(_ONSETS) + r.choice(_VOWELS) + r.choice(_CODAS) for _ in range(r.randint(low, high)))


def entity(r: random.Random) -> str:
    """A service, project or package: several spellings that agents' memories use."""
    style = r.random()
    if style < 0.6:
        return f"{r.choice(ADJECTIVES)}-{r.choice(NOUNS)}"
    if style < 0.72:
        return syllables(r)
    if style < 0.84:
        return f"{r.choice(ADJECTIVES)}_{r.choice(NOUNS)}"
    if style < 0.94:
        return r.choice(ADJECTIVES).title() + r.choice(NOUNS).title()
    return f"{syllables(r)}-{r.choice(TOPICS)}"


def person(r: random.Random) -> str:
    return f"{r.choice(FIRST)} {r.choice(LAST)}" if r.random() < 0.8 else f"{syllables(r).title()} {r.choice(LAST)}"


def number(r: random.Random) -> str:
    return str(r.choice((r.randint(1000, 9999), r.randint(1000, 9999), r.randint(10, 999))))


def tool(r: random.Random) -> str:
    return r.choice(TOOLS) if r.random() < 0.6 else syllables(r, 1, 2)


def command(r: random.Random) -> str:
    words = [tool(r), r.choice(SUBCOMMANDS)]
    if r.random() < 0.4:
        words.append(r.choice(TOPICS) if r.random() < 0.5 else f"{r.choice(FOLDERS)}/{r.choice(TOPICS)}")
    if r.random() < 0.5:
        words.append(r.choice(FLAGS))
    return " ".join(words)


def path(r: random.Random) -> str:
    parts = [r.choice(FOLDERS)] if r.random() < 0.9 else []
    if r.random() < 0.5:
        parts.append(r.choice((r.choice(NOUNS), syllables(r))))
    parts.append(f"{r.choice((r.choice(TOPICS), r.choice(NOUNS), syllables(r)))}.{r.choice(EXTENSIONS)}")
    return "/".join(parts)


def branch(r: random.Random) -> str:
    return f"{r.choice(ADJECTIVES)}-{r.choice(NOUNS)}" if r.random() < 0.5 else f"{r.choice(PREFIXES)}/{syllables(r)}"


def region(r: random.Random) -> str:
    if r.random() < 0.5:
        return f"{r.choice(('eu', 'us', 'ap', 'sa', 'af'))}-{r.choice(('west', 'east', 'north', 'south', 'central'))}-{r.randint(1, 9)}"
    return syllables(r).title()


def env_name(r: random.Random) -> str:
    return f"{r.choice(NOUNS)}_{r.choice(('KEY', 'URL', 'MODE', 'PORT', 'HOME', 'TOKEN', 'LEVEL'))}".upper()


def channel(r: random.Random) -> str:
    return f"#{r.choice(NOUNS)}-{r.choice(TOPICS)}"


def version(r: random.Random) -> str:
    return f"{r.randint(0, 29)}.{r.randint(0, 19)}" + (f".{r.randint(0, 9)}" if r.random() < 0.5 else "")


def duration(r: random.Random) -> str:
    return f"{r.randint(2, 900)} {r.choice(('seconds', 'minutes', 'hours', 'days'))}"


def url(r: random.Random) -> str:
    return f"https://{syllables(r)}.{r.choice(('dev', 'io', 'org', 'net'))}/{r.choice(TOPICS)}"


def noise(r: random.Random) -> str:
    """Characters without sense: whatever stands in a real file can be copied, known or not."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@#=(){}[]<>$*é–—→ü✓"
    return "".join(r.choice(letters) for _ in range(r.randint(2, 8)))


SCRIPTS = ((0x4E00, 0x7FFF), (0x4E00, 0x9FA5), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3), (0x0410, 0x044F),
           (0x03B1, 0x03C9), (0x0621, 0x064A), (0x05D0, 0x05EA), (0x0905, 0x0939), (0x00C0, 0x00FF), (0x1F300, 0x1F64F))


def foreign(r: random.Random) -> str:
    """One to five letters of a script that the tokenizer knows by its bytes alone."""
    low, high = r.choice(SCRIPTS)
    near = r.randint(low, high)  # letters of one text are near each other
    return "".join(chr(r.randint(low, high) if r.random() < 0.7 else near) for _ in range(r.randint(1, 5)))
