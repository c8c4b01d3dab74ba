"""The facts and rules of the pocket world, as tables: how each is stated, asked, reversed and obeyed.

`{e}` is the entity, `{v}` the value. `asked` are the forms in which the model learns to *write* questions; `exam` forms are
understood but never written for training families, so that probes can be asked in words that self-study does not use.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from distill.pocket import words as w


@dataclass(frozen=True)
class Relation:
    name: str
    value: Callable[[random.Random], str]
    stated: tuple[str, ...]
    asked: tuple[str, ...]
    exam: tuple[str, ...]
    apply: tuple[str, ...]
    reverse: tuple[str, ...] = ()


RELATIONS = (
    Relation("port", w.number,
        ("The {e} service listens on port {v}.", "{e} runs on port {v}.", "Connect to {e} at port {v}.", "Port of {e}: {v}."),
        ("Which port does {e} use?", "What port is {e} on?", "On what port does {e} listen?", "Tell me the port of {e}."),
        ("Give the port number for {e}.", "Name the port where {e} can be reached.", "{e} answers on which port?"),
        ("I want to connect to {e}: which port?", "A client must reach {e}. What port goes into its settings?"),
        ("Which service uses port {v}?", "What runs on port {v}?")),
    Relation("owner", w.person,
        ("The owner of {e} is {v}.", "{e} is maintained by {v}.", "Owner of {e}: {v}."),
        ("Who owns {e}?", "Who is the owner of {e}?", "Who maintains {e}?", "Whom do I ask about {e}?"),
        ("Name the person responsible for {e}.", "Who looks after {e}?", "{e} belongs to whom?"),
        ("{e} is broken: whom should I call?", "I have a question on {e}. Who can help?"),
        ("What does {v} own?", "Which project belongs to {v}?")),
    Relation("region", w.region,
        ("{e} is hosted in {v}.", "The servers of {e} are in {v}.", "We deploy {e} to {v}.", "Region of {e}: {v}."),
        ("Where is {e} hosted?", "Which region is {e} in?", "Where do we deploy {e}?", "Where are the servers of {e}?"),
        ("Name the region of {e}.", "In which region does {e} run?", "{e} lives in which region?"),
        ("I roll out {e} today: to which region?", "The servers of {e} are slow. Which region do I look at?"),
        ("What is hosted in {v}?",)),
    Relation("day", lambda r: r.choice(w.DAYS),
        ("{e} is released every {v}.", "Release day for {e} is {v}.", "The {e} release goes out on {v}."),
        ("When is {e} released?", "What is the release day of {e}?", "On which day do we ship {e}?", "When does {e} go out?"),
        ("Name the release day for {e}.", "Which day is {e} shipped?", "{e} ships on what day?"),
        ("I must plan the release of {e}: which day?", "Customers ask when {e} ships. What do I tell them?")),
    Relation("branch", w.branch,
        ("The main branch of {e} is {v}.", "{e} merges into branch {v}."),
        ("What is the main branch of {e}?", "Which branch does {e} merge into?", "What branch should I use for {e}?",
         "Into which branch is {e} merged?"),
        ("Name the trunk of {e}.", "Which branch is used for {e}?", "{e} has what main branch?"),
        ("I open a pull request for {e}: against which branch?", "My work on {e} is done. Where does it merge?"),
        ("Which project uses branch {v}?",)),
    Relation("test", w.command,
        ("Run the tests of {e} with `{v}`.", "In {e}, use `{v}` to run the tests.", "{e} is tested with `{v}`.", "Test {e} using `{v}`.", "Tests of {e}: `{v}`"),
        ("How are the tests of {e} run?", "Which command tests {e}?", "What do I use to test {e}?",
         "How do I run the tests in {e}?"),
        ("Give the test command of {e}.", "With what is {e} tested?", "{e} is checked by which test command?"),
        ("I changed {e} and want to test it. What do I type?", "CI must test {e}: with what?")),
    Relation("build", w.command,
        ("Build {e} with `{v}`.", "{e} is built by `{v}`.", "To build {e}, run `{v}`.", "Build of {e}: `{v}`"),
        ("How is {e} built?", "Which command builds {e}?", "How do I build {e}?", "What do I run to build {e}?"),
        ("Give the build command of {e}.", "With what is {e} built?", "{e} is made by which build command?"),
        ("I need a fresh build of {e}. What do I type?", "CI must build {e}: with what?"),
        ("What does `{v}` build?",)),
    Relation("config", w.path,
        ("The config of {e} is in `{v}`.", "{e} reads its settings from `{v}`.", "Settings for {e} live in `{v}`.", "Config of {e}: `{v}`"),
        ("Where is the config of {e}?", "Which file configures {e}?", "From which file does {e} read its settings?",
         "Where do the settings for {e} live?"),
        ("Name the config file of {e}.", "What file holds the settings of {e}?", "{e} is configured in which file?"),
        ("I must change a setting of {e}: in which file?", "{e} has a wrong setting. Where do I look?"),
        ("What does `{v}` configure?",)),
    Relation("env", w.env_name,
        ("{e} needs the variable {v}.", "{e} reads `{v}` from the environment.", "The variable of {e} is {v}."),
        ("Which variable does {e} need?", "What must be set before {e} starts?", "What does {e} read from the environment?",
         "Which environment variable belongs to {e}?"),
        ("Name the environment variable of {e}.", "What variable is read by {e}?", "{e} depends on which variable?"),
        ("{e} does not start. Which variable did I forget?", "I start {e} for the first time: what do I set?"),
        ("Which service reads {v}?",)),
    Relation("channel", w.channel,
        ("Questions on {e} go to {v}.", "The channel of {e} is {v}.", "Alerts of {e} are posted in {v}."),
        ("Where do questions on {e} go?", "What is the channel of {e}?", "Where is {e} discussed?",
         "Where are the alerts of {e} posted?"),
        ("Name the channel for {e}.", "In which channel is {e} talked about?", "{e} has what channel?"),
        ("I must announce a change of {e}: where?", "An alert of {e} fired. Where do I find it?"),
        ("What is discussed in {v}?",)),
    Relation("timeout", w.duration,
        ("{e} times out after {v}.", "The timeout of {e} is {v}.", "Requests to {e} stop after {v}.", "{e} waits {v} at most."),
        ("When does {e} time out?", "What is the timeout of {e}?", "How long does {e} wait?", "After how long do requests to {e} stop?"),
        ("Give the timeout of {e}.", "How much time does {e} allow?", "{e} gives up after how long?"),
        ("A call to {e} hangs: how long until it ends?", "I set the limit for calls to {e}. What value?")),
    Relation("database", lambda r: r.choice(w.DATABASES),
        ("{e} stores its data in {v}.", "The database of {e} is {v}.", "{e} is backed by {v}."),
        ("Where does {e} store its data?", "What is the database of {e}?", "Which database does {e} use?", "What backs {e}?"),
        ("Name the database of {e}.", "What holds the data of {e}?", "{e} keeps its data in what?"),
        ("I need the rows of {e}: which database do I open?", "I back up {e}. What database is it?")),
    Relation("linter", w.tool,
        ("Lint {e} with {v}.", "{e} is linted by {v}.", "The linter of {e} is {v}."),
        ("Which linter does {e} use?", "What lints {e}?", "What is the linter of {e}?", "Which tool checks the style of {e}?"),
        ("Name the linter of {e}.", "With which tool is {e} linted?", "{e} has its style checked by what?"),
        ("The style check of {e} fails: which tool is it?", "I want to lint {e}. With what?")),
    Relation("version", w.version,
        ("{e} is pinned to version {v}.", "The current version of {e} is {v}.", "We use {e} {v}.", "{e} stays at version {v}."),
        ("Which version of {e} do we use?", "What is the version of {e}?", "To which version is {e} pinned?",
         "At what version does {e} stay?"),
        ("Give the version of {e}.", "What version number has {e}?", "{e} is on which version?"),
        ("I install {e}: which version?", "I write a bug report on {e}. What version do I put in?")),
    Relation("log", w.path,
        ("{e} writes its log to `{v}`.", "The log of {e} is `{v}`."),
        ("Where does {e} write its log?", "Where is the log of {e}?", "Which file is the log of {e}?", "Where do I find the log of {e}?"),
        ("Name the log file of {e}.", "What file does {e} log to?", "{e} logs into which file?"),
        ("{e} crashed: where do I read why?", "I want to see what {e} did. Which file?"),
        ("Which service logs to `{v}`?",)),
    Relation("docs", w.url,
        ("The docs of {e} are at {v}.", "{e} is documented at {v}.", "Read about {e} at {v}."),
        ("Where are the docs of {e}?", "Where is {e} documented?", "Where can I read about {e}?", "Which page documents {e}?"),
        ("Give the docs address of {e}.", "What is the documentation page of {e}?", "{e} has its docs at what address?"),
        ("I am new to {e}: what should I read?", "Someone asks how {e} works. Which page do I send?"),
        ("What is documented at {v}?",)),
)


@dataclass(frozen=True)
class RuleKind:
    """A rule and the task that tempts to break it. `{x}` is what the task is about, `{v}` what the rule asks for."""

    name: str
    value: Callable[[random.Random], str]
    subject: Callable[[random.Random], str]
    stated: tuple[str, ...]
    asked: tuple[str, ...]
    exam: tuple[str, ...]
    tool: str
    field: str
    default: str
    obeyed: str


def _topic(r: random.Random) -> str:
    return r.choice(w.TOPICS)


RULES = (
    RuleKind("push", w.syllables, _topic,
        ("Push only to the remote `{v}`.", "Never push to origin: use the remote `{v}`.", "All pushes go to the remote `{v}`."),
        ("Publish the branch.", "Push my work."), ("Send the commits to the server.", "Upload the branch."),
        "Bash", "command", "git push origin HEAD", "git push {v} HEAD"),
    RuleKind("test", w.command, _topic,
        ("Always run the tests with `{v}`.", "Use `{v}` instead of pytest.", "Never run pytest directly, run `{v}`."),
        ("Run the tests.", "Please run the test suite."), ("Check that the tests pass.", "Start a test run."),
        "Bash", "command", "pytest", "{v}"),
    RuleKind("install", w.tool, w.syllables,
        ("Use {v} instead of npm.", "Never use npm to install packages, use `{v}`.", "Packages are installed with `{v}`, not with npm."),
        ("Add the package {x}.", "Install {x}."), ("We need {x} as a dependency.", "Please get the {x} package."),
        "Bash", "command", "npm add {x}", "{v} add {x}"),
    RuleKind("commit", lambda r: r.choice(w.PREFIXES) if r.random() < 0.4 else w.syllables(r, 1, 2), _topic,
        ("Commit messages start with `{v}:`.", "Every commit message begins with `{v}:`.", "Prefix commit messages with `{v}:`."),
        ("Commit the {x} change.", "Commit my work on the {x}."), ("Save the {x} work in git.", "Record the {x} change."),
        "Bash", "command", "git commit -m '{x}'", "git commit -m '{v}: {x}'"),
    RuleKind("format", w.tool, _topic,
        ("Format code with `{v}`.", "Use `{v}` for formatting, never prettier.", "The formatter is `{v}`, not prettier."),
        ("Format the code.", "Format the {x} code."), ("Tidy up the {x} code.", "Make the code look right."),
        "Bash", "command", "prettier .", "{v} ."),
    RuleKind("delete", w.tool, w.path,
        ("Never use rm: delete files with `{v}`.", "Do not run rm, use `{v}`.", "Files are deleted with `{v}`, not with rm."),
        ("Delete {x}.", "Remove the file {x}."), ("Get rid of {x}.", "We no longer need {x}."),
        "Bash", "command", "rm {x}", "{v} {x}"),
    RuleKind("notes", w.path, _topic,
        ("Notes go into `{v}`.", "Write notes to `{v}`, nowhere else.", "Keep all notes in `{v}`."),
        ("Write a note on the {x}.", "Make a note about the {x}."), ("Note down the {x} idea.", "Keep a note of the {x}."),
        "Write", "file_path", "notes.md", "{v}"),
    RuleKind("generated", w.path, _topic,
        ("The {x} file is generated: edit `{v}` instead.", "Never edit the {x} file, change `{v}`.",
         "Changes to the {x} go into `{v}`."),
        ("Fix the {x}.", "Change the {x}."), ("Repair the {x}.", "The {x} needs an edit."),
        "Edit", "file_path", "{x}.py", "{v}"),
    RuleKind("deploy", w.command, w.entity,
        ("Deploy {x} with `{v}`.", "{x} is deployed only with `{v}`.", "Never deploy {x} by hand: run `{v}`."),
        ("Deploy {x}.", "Please deploy {x} now."), ("Bring {x} live.", "Roll out {x}."),
        "Bash", "command", "kubectl apply {x}", "{v}"),
    RuleKind("lookup", w.url, w.entity,
        ("Look up {x} only at {v}.", "For the {x} manual, fetch {v}.", "The {x} manual is at {v}, do not search the web."),
        ("Look up the {x} manual.", "Find the manual of {x}."), ("Get me the {x} manual.", "Open the manual for {x}."),
        "WebFetch", "url", "https://search.com/{x}", "{v}"),
    RuleKind("branch", w.syllables, _topic,
        ("Branch names start with `{v}/`.", "Every branch is called `{v}/` and a word.", "Prefix branches with `{v}/`."),
        ("Start a branch for the {x}.", "Create a branch for the {x}."), ("Open a new {x} branch.", "I begin work on the {x}: make a branch."),
        "Bash", "command", "git checkout -b {x}", "git checkout -b {v}/{x}"),
    RuleKind("lint", w.command, _topic,
        ("Lint with `{v}`.", "Always lint with `{v}`, never with eslint.", "The lint command is `{v}`."),
        ("Lint the code.", "Run the linter."), ("Check the code style.", "Look for lint errors."),
        "Bash", "command", "eslint .", "{v}"),
)
