"""The facts and rules of the pocket world, as tables: how each is stated, asked, reversed and obeyed.

`{e}` is the entity, `{v}` the value. `asked` are the forms in which the model learns to *write* questions; `exam` forms are
understood but never written for training families, so that probes can be asked in words that self-study does not use.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

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
        ("Which port does {e} use?", "What port is {e} on?", "On what port does {e} listen?", "Tell me the port of {e}.",
         "What is the port of {e}?", "Which port belongs to {e}?"),
        ("Give the port number for {e}.", "Name the port where {e} can be reached.", "{e} answers on which port?",
         "State the port of {e}.", "Through which port is {e} reached?", "{e} is served on what port?", "What is the port number of {e}?"),
        ("I want to connect to {e}: which port?", "A client must reach {e}. What port goes into its settings?",
         "I open the firewall for {e}: for which port?"),
        ("Which service uses port {v}?", "What runs on port {v}?")),
    Relation("owner", w.person,
        ("The owner of {e} is {v}.", "{e} is maintained by {v}.", "Owner of {e}: {v}."),
        ("Who owns {e}?", "Who is the owner of {e}?", "Who maintains {e}?", "Whom do I ask about {e}?",
         "Who is in charge of {e}?", "Whose project is {e}?"),
        ("Name the person responsible for {e}.", "Who looks after {e}?", "{e} belongs to whom?",
         "Which person maintains {e}?", "Who is the maintainer of {e}?", "Tell me who owns {e}.", "{e} has which owner?"),
        ("{e} is broken: whom should I call?", "I have a question on {e}. Who can help?",
         "I need a review for {e}: from whom?"),
        ("What does {v} own?", "Which project belongs to {v}?")),
    Relation("region", w.region,
        ("{e} is hosted in {v}.", "The servers of {e} are in {v}.", "We deploy {e} to {v}.", "Region of {e}: {v}."),
        ("Where is {e} hosted?", "Which region is {e} in?", "Where do we deploy {e}?", "Where are the servers of {e}?",
         "What is the region of {e}?", "To which region do we deploy {e}?"),
        ("Name the region of {e}.", "In which region does {e} run?", "{e} lives in which region?",
         "State the region of {e}.", "Tell me where {e} is hosted.", "{e} is deployed to what region?", "What region hosts {e}?"),
        ("I roll out {e} today: to which region?", "The servers of {e} are slow. Which region do I look at?",
         "I order a new server for {e}: in which region?"),
        ("What is hosted in {v}?",)),
    Relation("day", lambda r: r.choice(w.DAYS),
        ("{e} is released every {v}.", "Release day for {e} is {v}.", "The {e} release goes out on {v}."),
        ("When is {e} released?", "What is the release day of {e}?", "On which day do we ship {e}?", "When does {e} go out?",
         "On what day is {e} released?", "Which day is release day for {e}?"),
        ("Name the release day for {e}.", "Which day is {e} shipped?", "{e} ships on what day?",
         "State the release day of {e}.", "Tell me when {e} is released.", "{e} goes out on which day?", "What weekday is {e} released?"),
        ("I must plan the release of {e}: which day?", "Customers ask when {e} ships. What do I tell them?",
         "I may not miss the next release of {e}. Which day is it?")),
    Relation("branch", w.branch,
        ("The main branch of {e} is {v}.", "{e} merges into branch {v}."),
        ("What is the main branch of {e}?", "Which branch does {e} merge into?", "What branch should I use for {e}?",
         "Into which branch is {e} merged?",
         "Which branch is the main branch of {e}?", "Where does {e} merge?"),
        ("Name the trunk of {e}.", "Which branch is used for {e}?", "{e} has what main branch?",
         "State the main branch of {e}.", "Tell me the branch that {e} merges into.", "{e} is merged into what branch?", "What is the trunk of {e}?"),
        ("I open a pull request for {e}: against which branch?", "My work on {e} is done. Where does it merge?",
         "I rebase my work on {e}: onto which branch?"),
        ("Which project uses branch {v}?",)),
    Relation("test", w.command,
        ("Run the tests of {e} with `{v}`.", "In {e}, use `{v}` to run the tests.", "{e} is tested with `{v}`.", "Test {e} using `{v}`.", "Tests of {e}: `{v}`"),
        ("How are the tests of {e} run?", "Which command tests {e}?", "What do I use to test {e}?",
         "How do I run the tests in {e}?",
         "What is the test command of {e}?", "With which command do I test {e}?"),
        ("Give the test command of {e}.", "With what is {e} tested?", "{e} is checked by which test command?",
         "State the test command of {e}.", "Tell me how to test {e}.", "What runs the tests of {e}?", "{e} is tested by running what?"),
        ("I changed {e} and want to test it. What do I type?", "CI must test {e}: with what?",
         "My patch to {e} is ready: how do I test it?")),
    Relation("build", w.command,
        ("Build {e} with `{v}`.", "{e} is built by `{v}`.", "To build {e}, run `{v}`.", "Build of {e}: `{v}`"),
        ("How is {e} built?", "Which command builds {e}?", "How do I build {e}?", "What do I run to build {e}?",
         "What is the build command of {e}?", "With which command do I build {e}?"),
        ("Give the build command of {e}.", "With what is {e} built?", "{e} is made by which build command?",
         "State the build command of {e}.", "Tell me how to build {e}.", "What builds {e}?", "{e} is built by running what?"),
        ("I need a fresh build of {e}. What do I type?", "CI must build {e}: with what?",
         "I cloned {e}: how do I build it?"),
        ("What does `{v}` build?",)),
    Relation("config", w.path,
        ("The config of {e} is in `{v}`.", "{e} reads its settings from `{v}`.", "Settings for {e} live in `{v}`.", "Config of {e}: `{v}`"),
        ("Where is the config of {e}?", "Which file configures {e}?", "From which file does {e} read its settings?",
         "Where do the settings for {e} live?",
         "Where are the settings of {e}?", "What is the config file of {e}?"),
        ("Name the config file of {e}.", "What file holds the settings of {e}?", "{e} is configured in which file?",
         "State the config file of {e}.", "Tell me where the settings of {e} are.", "Which file has the config of {e}?", "{e} takes its settings from what file?"),
        ("I must change a setting of {e}: in which file?", "{e} has a wrong setting. Where do I look?",
         "I turn on an option of {e}: which file do I edit?"),
        ("What does `{v}` configure?",)),
    Relation("env", w.env_name,
        ("{e} needs the variable {v}.", "{e} reads `{v}` from the environment.", "The variable of {e} is {v}."),
        ("Which variable does {e} need?", "What must be set before {e} starts?", "What does {e} read from the environment?",
         "Which environment variable belongs to {e}?",
         "What is the variable of {e}?", "Which variable do I set for {e}?"),
        ("Name the environment variable of {e}.", "What variable is read by {e}?", "{e} depends on which variable?",
         "State the variable of {e}.", "Tell me which variable {e} needs.", "{e} reads what from the environment?", "What is the environment variable of {e}?"),
        ("{e} does not start. Which variable did I forget?", "I start {e} for the first time: what do I set?",
         "I run {e} in a container: which variable do I pass?"),
        ("Which service reads {v}?",)),
    Relation("channel", w.channel,
        ("Questions on {e} go to {v}.", "The channel of {e} is {v}.", "Alerts of {e} are posted in {v}."),
        ("Where do questions on {e} go?", "What is the channel of {e}?", "Where is {e} discussed?",
         "Where are the alerts of {e} posted?",
         "Which channel belongs to {e}?", "Where do I ask about {e}?"),
        ("Name the channel for {e}.", "In which channel is {e} talked about?", "{e} has what channel?",
         "State the channel of {e}.", "Tell me the channel of {e}.", "{e} is discussed in which channel?", "What channel is for {e}?"),
        ("I must announce a change of {e}: where?", "An alert of {e} fired. Where do I find it?",
         "I am stuck with {e}: in which channel do I ask?"),
        ("What is discussed in {v}?",)),
    Relation("timeout", w.duration,
        ("{e} times out after {v}.", "The timeout of {e} is {v}.", "Requests to {e} stop after {v}.", "{e} waits {v} at most."),
        ("When does {e} time out?", "What is the timeout of {e}?", "How long does {e} wait?", "After how long do requests to {e} stop?",
         "After how long does {e} time out?", "How long is the timeout of {e}?"),
        ("Give the timeout of {e}.", "How much time does {e} allow?", "{e} gives up after how long?",
         "State the timeout of {e}.", "Tell me how long {e} waits.", "{e} times out after what time?", "What is the time limit of {e}?"),
        ("A call to {e} hangs: how long until it ends?", "I set the limit for calls to {e}. What value?",
         "Calls to {e} fail: after how long do they stop?")),
    Relation("database", lambda r: r.choice(w.DATABASES),
        ("{e} stores its data in {v}.", "The database of {e} is {v}.", "{e} is backed by {v}."),
        ("Where does {e} store its data?", "What is the database of {e}?", "Which database does {e} use?", "What backs {e}?",
         "In which database does {e} keep its data?", "What does {e} store its data in?"),
        ("Name the database of {e}.", "What holds the data of {e}?", "{e} keeps its data in what?",
         "State the database of {e}.", "Tell me which database {e} uses.", "{e} is backed by which database?", "Which database holds the data of {e}?"),
        ("I need the rows of {e}: which database do I open?", "I back up {e}. What database is it?",
         "I migrate the tables of {e}: of which database are they?")),
    Relation("linter", w.tool,
        ("Lint {e} with {v}.", "{e} is linted by {v}.", "The linter of {e} is {v}."),
        ("Which linter does {e} use?", "What lints {e}?", "What is the linter of {e}?", "Which tool checks the style of {e}?",
         "With which linter is {e} checked?", "What do we lint {e} with?"),
        ("Name the linter of {e}.", "With which tool is {e} linted?", "{e} has its style checked by what?",
         "State the linter of {e}.", "Tell me what lints {e}.", "{e} is linted with which tool?", "Which linter belongs to {e}?"),
        ("The style check of {e} fails: which tool is it?", "I want to lint {e}. With what?",
         "CI must check the style of {e}: with which tool?")),
    Relation("version", w.version,
        ("{e} is pinned to version {v}.", "The current version of {e} is {v}.", "We use {e} {v}.", "{e} stays at version {v}."),
        ("Which version of {e} do we use?", "What is the version of {e}?", "To which version is {e} pinned?",
         "At what version does {e} stay?",
         "What version is {e} at?", "Which version is {e} pinned to?"),
        ("Give the version of {e}.", "What version number has {e}?", "{e} is on which version?",
         "State the version of {e}.", "Tell me the version of {e}.", "{e} is pinned to what version?", "What is the current version of {e}?"),
        ("I install {e}: which version?", "I write a bug report on {e}. What version do I put in?",
         "I lock the dependencies: which version of {e}?")),
    Relation("log", w.path,
        ("{e} writes its log to `{v}`.", "The log of {e} is `{v}`."),
        ("Where does {e} write its log?", "Where is the log of {e}?", "Which file is the log of {e}?", "Where do I find the log of {e}?",
         "What is the log file of {e}?", "Into which file does {e} log?"),
        ("Name the log file of {e}.", "What file does {e} log to?", "{e} logs into which file?",
         "State the log file of {e}.", "Tell me where the log of {e} is.", "Which file has the log of {e}?", "{e} writes its log to what file?"),
        ("{e} crashed: where do I read why?", "I want to see what {e} did. Which file?",
         "I must attach the log of {e}: which file is it?"),
        ("Which service logs to `{v}`?",)),
    Relation("docs", w.url,
        ("The docs of {e} are at {v}.", "{e} is documented at {v}.", "Read about {e} at {v}."),
        ("Where are the docs of {e}?", "Where is {e} documented?", "Where can I read about {e}?", "Which page documents {e}?",
         "What is the address of the docs of {e}?", "Where do I read about {e}?"),
        ("Give the docs address of {e}.", "What is the documentation page of {e}?", "{e} has its docs at what address?",
         "State the docs address of {e}.", "Tell me where {e} is documented.", "Which address has the docs of {e}?", "{e} is documented on what page?"),
        ("I am new to {e}: what should I read?", "Someone asks how {e} works. Which page do I send?",
         "I write a link to the docs of {e}: to what address?"),
        ("What is documented at {v}?",)),
)

NOUNS = dict(
    port="port", owner="owner", region="region", day="release day", branch="main branch", test="test command",
    build="build command", config="config file", env="environment variable", channel="channel", timeout="timeout",
    database="database", linter="linter", version="version", log="log file", docs="docs address",
)
SHARED = ("{e}: what is the %s?", "For {e}: which %s?", "I need the %s of {e}.", "The %s of {e}, please.", "Do you know the %s of {e}?")
RELATIONS = tuple(replace(x, asked=x.asked + tuple(form % NOUNS[x.name] for form in SHARED)) for x in RELATIONS)
"""Many forms that the model writes are many ways into one fact for whoever learns from them."""


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
        ("Publish the branch.", "Push my work.", "Put my branch online.", "Let the others see my commits."), ("Send the commits to the server.", "Upload the branch."),
        "Bash", "command", "git push origin HEAD", "git push {v} HEAD"),
    RuleKind("test", w.command, _topic,
        ("Always run the tests with `{v}`.", "Use `{v}` instead of pytest.", "Never run pytest directly, run `{v}`."),
        ("Run the tests.", "Please run the test suite.", "Do the tests pass?", "Test my change."), ("Check that the tests pass.", "Start a test run."),
        "Bash", "command", "pytest", "{v}"),
    RuleKind("install", w.tool, w.syllables,
        ("Use {v} instead of npm.", "Never use npm to install packages, use `{v}`.", "Packages are installed with `{v}`, not with npm."),
        ("Add the package {x}.", "Install {x}.", "I want to use {x} here.", "Put {x} into the dependencies."), ("We need {x} as a dependency.", "Please get the {x} package."),
        "Bash", "command", "npm add {x}", "{v} add {x}"),
    RuleKind("commit", lambda r: r.choice(w.PREFIXES) if r.random() < 0.4 else w.syllables(r, 1, 2), _topic,
        ("Commit messages start with `{v}:`.", "Every commit message begins with `{v}:`.", "Prefix commit messages with `{v}:`."),
        ("Commit the {x} change.", "Commit my work on the {x}.", "The {x} is done: make a commit.", "Commit: {x}."), ("Save the {x} work in git.", "Record the {x} change."),
        "Bash", "command", "git commit -m '{x}'", "git commit -m '{v}: {x}'"),
    RuleKind("format", w.tool, _topic,
        ("Format code with `{v}`.", "Use `{v}` for formatting, never prettier.", "The formatter is `{v}`, not prettier."),
        ("Format the code.", "Format the {x} code.", "The {x} code has a bad layout.", "Run the formatter."), ("Tidy up the {x} code.", "Make the code look right."),
        "Bash", "command", "prettier .", "{v} ."),
    RuleKind("delete", w.tool, w.path,
        ("Never use rm: delete files with `{v}`.", "Do not run rm, use `{v}`.", "Files are deleted with `{v}`, not with rm."),
        ("Delete {x}.", "Remove the file {x}.", "{x} can go.", "Please delete the file {x}."), ("Get rid of {x}.", "We no longer need {x}."),
        "Bash", "command", "rm {x}", "{v} {x}"),
    RuleKind("notes", w.path, _topic,
        ("Notes go into `{v}`.", "Write notes to `{v}`, nowhere else.", "Keep all notes in `{v}`."),
        ("Write a note on the {x}.", "Make a note about the {x}.", "I want to remember the {x}: write it down.", "Put the {x} into my notes."), ("Note down the {x} idea.", "Keep a note of the {x}."),
        "Write", "file_path", "notes.md", "{v}"),
    RuleKind("generated", w.path, _topic,
        ("The {x} file is generated: edit `{v}` instead.", "Never edit the {x} file, change `{v}`.",
         "Changes to the {x} go into `{v}`."),
        ("Fix the {x}.", "Change the {x}.", "The {x} is wrong: mend it.", "Edit the {x}."), ("Repair the {x}.", "The {x} needs an edit."),
        "Edit", "file_path", "{x}.py", "{v}"),
    RuleKind("deploy", w.command, w.entity,
        ("Deploy {x} with `{v}`.", "{x} is deployed only with `{v}`.", "Never deploy {x} by hand: run `{v}`."),
        ("Deploy {x}.", "Please deploy {x} now.", "{x} is ready: ship it.", "Put {x} into production."), ("Bring {x} live.", "Roll out {x}."),
        "Bash", "command", "kubectl apply {x}", "{v}"),
    RuleKind("lookup", w.url, w.entity,
        ("Look up {x} only at {v}.", "For the {x} manual, fetch {v}.", "The {x} manual is at {v}, do not search the web."),
        ("Look up the {x} manual.", "Find the manual of {x}.", "What does the {x} manual say?", "I want to read the {x} manual."), ("Get me the {x} manual.", "Open the manual for {x}."),
        "WebFetch", "url", "https://search.com/{x}", "{v}"),
    RuleKind("branch", w.syllables, _topic,
        ("Branch names start with `{v}/`.", "Every branch is called `{v}/` and a word.", "Prefix branches with `{v}/`."),
        ("Start a branch for the {x}.", "Create a branch for the {x}.", "A new branch for the {x}, please.", "Branch off for the {x}."), ("Open a new {x} branch.", "I begin work on the {x}: make a branch."),
        "Bash", "command", "git checkout -b {x}", "git checkout -b {v}/{x}"),
    RuleKind("lint", w.command, _topic,
        ("Lint with `{v}`.", "Always lint with `{v}`, never with eslint.", "The lint command is `{v}`."),
        ("Lint the code.", "Run the linter.", "Lint my change.", "Does the linter complain?"), ("Check the code style.", "Look for lint errors."),
        "Bash", "command", "eslint .", "{v}"),
)
