"""Programs: how many words their sub-commands have, spellings of flags and sub-commands, runners, rivals.

A program that is not listed here is known as a command only where a sentence says so plainly (a script by its
path, `make`-like words in a code block). Not covered: what every flag means.
"""

from __future__ import annotations

# Words that are sub-commands: the default for a program, and for a first word that takes another one.
DEPTH: dict[str, int | dict[str, int]] = {
    "git": {"": 1, "stash": 2, "worktree": 2, "remote": 2, "submodule": 2, "lfs": 2, "flow": 2, "bisect": 2},
    "gh": 2, "glab": 2, "hub": 1, "npm": {"": 1, "run": 2, "run-script": 2, "config": 2},
    "pnpm": {"": 1, "run": 2, "config": 2}, "yarn": {"": 1, "run": 2, "workspace": 3, "config": 2},
    "bun": {"": 1, "run": 2, "pm": 2}, "deno": {"": 1, "task": 2}, "npx": 0, "bunx": 0, "nx": 1,
    "turbo": {"": 1, "run": 2},
    "lerna": {"": 1, "run": 2}, "pip": 1, "pip3": 1, "uv": {"": 1, "pip": 2, "tool": 2, "python": 2},
    "poetry": {"": 1, "run": 2, "cache": 2}, "pipenv": 1, "pdm": 1, "hatch": 1, "rye": 1, "conda": {"": 1,
    "env": 2},
    "mamba": 1, "pixi": {"": 1, "run": 2}, "twine": 1, "ruff": 1, "black": 0, "isort": 0, "mypy": 0,
    "pyright": 0,
    "basedpyright": 0, "pytest": 0, "tox": 0, "nox": 0, "pre-commit": 1, "flake8": 0, "pylint": 0, "ty": 1,
    "alembic": 1, "cargo": {"": 1, "xwin": 2, "nextest": 2, "make": 2, "xtask": 2, "hack": 2, "sqlx": 2},
    "rustc": 0, "rustfmt": 0, "rustup": 1, "go": {"": 1, "mod": 2, "work": 2, "tool": 2}, "gofmt": 0,
    "goimports": 0, "gofumpt": 0, "golangci-lint": 1, "buf": 1, "docker": {
        "": 1, "compose": 2, "image": 2, "system": 2, "volume": 2, "container": 2, "network": 2, "buildx": 2,
        "builder": 2},
    "docker-compose": 1, "podman": 1, "kubectl": {"": 1, "rollout": 2, "config": 2}, "helm": 1,
    "kustomize": 1,
    "minikube": 1, "kind": 2, "tilt": 1, "skaffold": 1, "terraform": {"": 1, "state": 2, "workspace": 2},
    "tofu": {"": 1, "state": 2, "workspace": 2}, "terragrunt": 1, "pulumi": 1, "ansible-playbook": 0,
    "vagrant": 1,
    "aws": 2, "gcloud": 2, "az": 2, "fly": 1, "flyctl": 1, "vercel": 1, "netlify": 1, "firebase": 1,
    "wrangler": 1,
    "serverless": 1, "sls": 1, "cdk": 1, "sam": 1, "railway": 1, "heroku": 1, "supabase": 2, "make": 1,
    "gmake": 1,
    "just": 1, "task": 1, "mise": {"": 1, "run": 2}, "cmake": 0, "ninja": 1, "meson": 1, "bazel": 1,
    "bazelisk": 1,
    "buck2": 1, "mvn": 1, "mvnw": 1, "gradle": 1, "gradlew": 1, "./gradlew": 1, "./mvnw": 1, "sbt": 1,
    "ant": 1,
    "dotnet": 1, "nuget": 1, "composer": 1, "php": 0, "artisan": 1, "phpunit": 0, "phpstan": 1, "rake": 1,
    "bundle": 1, "gem": 1, "rails": 1, "rubocop": 0, "rspec": 0, "mix": 1, "rebar3": 1, "stack": 1,
    "cabal": 1,
    "swift": 1, "swiftlint": 1, "swiftformat": 0, "xcodebuild": 0, "pod": 1, "flutter": {"": 1, "pub": 2},
    "dart": 1,
    "zig": {"": 1, "build": 2}, "nix": {"": 1, "flake": 2}, "nixos-rebuild": 1, "brew": 1, "apt": 1,
    "apt-get": 1,
    "dnf": 1, "yum": 1, "pacman": 0, "snap": 1, "choco": 1, "winget": 1, "eslint": 0, "prettier": 0,
    "biome": 1,
    "oxlint": 0, "stylelint": 0, "tsc": 0, "vue-tsc": 0, "jest": 0, "vitest": 1, "mocha": 0, "playwright": 1,
    "cypress": 1, "vite": 1, "next": 1, "webpack": 0, "rollup": 0, "esbuild": 0, "tsx": 0, "ts-node": 0,
    "node": 0,
    "python": 0, "python3": 0, "ruby": 0, "perl": 0, "java": 0, "prisma": 2, "drizzle-kit": 1, "knex": 1,
    "flyway": 1, "sqlx": 2, "diesel": 2, "changeset": 1, "husky": 1, "rm": 0, "mv": 0, "cp": 0, "cat": 0,
    "ls": 0,
    "sed": 0, "awk": 0, "grep": 0, "rg": 0, "find": 0, "fd": 0, "head": 0, "tail": 0, "less": 0, "more": 0,
    "curl": 0,
    "wget": 0, "scp": 0, "rsync": 0, "ssh": 0, "sftp": 0, "nc": 0, "trash": 0, "trash-put": 0, "rmdir": 0,
    "dd": 0,
    "truncate": 0, "mkfs": 0, "shred": 0, "chmod": 0, "chown": 0, "kill": 0, "pkill": 0, "killall": 0,
    "sudo": 0,
    "su": 0, "systemctl": 1, "launchctl": 1, "crontab": 0, "psql": 0, "mysql": 0, "sqlite3": 0, "mongosh": 0,
    "redis-cli": 1, "dropdb": 0, "createdb": 0, "pg_restore": 0, "tmux": 1, "screen": 0, "watch": 0, "vim": 0,
    "vi": 0, "nano": 0, "emacs": 0, "touch": 0, "tee": 0, "jq": 0, "tree": 0, "echo": 0, "bash": 0, "sh": 0,
    "zsh": 0,
    "clang-format": 0, "clang-tidy": 0, "ctest": 0, "shellcheck": 0, "shfmt": 0, "actionlint": 0,
    "hadolint": 0,
    "markdownlint": 0, "typos": 0, "codespell": 0, "lefthook": 1, "commitlint": 0, "semgrep": 1, "trivy": 1,
    "gitleaks": 1, "himalaya": 2, "mail": 0, "mutt": 0, "sendmail": 0, "msmtp": 0, "taplo": 1, "dprint": 1,
    "ktlint": 0, "detekt": 0, "spotless": 0, "scalafmt": 0, "ocamlformat": 0, "dune": 1, "opam": 1, "ghc": 0,
    "hlint": 0, "fourmolu": 0, "elm": 1, "lein": 1, "clj": 0, "julia": 0, "Rscript": 0, "sqlfluff": 1,
    "dbt": 1,
    "mkdocs": 1, "sphinx-build": 0, "hugo": 0, "jekyll": 1, "ng": 1, "expo": 1, "eas": 1,
    "electron-builder": 0,
    "act": 0, "doppler": 1, "op": 1, "vault": 1, "sops": 0, "ctags": 0, "gcc": 0, "clang": 0,
    "pip-compile": 0,
    "svn": 1, "hg": 1, "jj": {"": 1, "git": 2}, "nose2": 0, "nosetests": 0, "jasmine": 0, "karma": 1,
    "ava": 0,
    "gotestsum": 0, "ginkgo": 1, "pest": 0, "pants": 1, "moon": 1, "earthly": 1, "nvm": 1, "fnm": 1,
    "volta": 1,
    "asdf": 1, "pyenv": 1, "rbenv": 1, "fvm": 1,
    "poe": 1, "invoke": 1, "inv": 1, "doit": 1, "rush": 1, "mage": 1, "scons": 0, "hatchling": 1, "prek": 1,
}  # fmt: skip

# English words that are programs too: a command only in code.
WORDS = frozenset(
    "make just task cat find head tail less more watch screen tree touch kill mail act op stack bundle next "
    "node go go black ant gem act pod rake mix elm kind vault hugo dart swift fly nox rails dune python ruby "
    "perl java php sh julia changeset typos expo sam tilt flutter ng clang gcc mocha jest vite webpack "
    "rollup "
    "cypress playwright prisma spotless mutt brew snap choco truncate shred tee echo su vi vim nano emacs ls "
    "mv cp node deno bazel gradle docker-compose karma ava pest pants moon volta".split()
)

SHELLS = frozenset(("bash", "sh", "zsh"))
INTERPRETERS = frozenset("bash sh zsh python python3 node ruby perl php tsx ts-node deno bun".split())

# Programs that run another one; longest first.
RUNNERS = (
    "poetry run", "pipenv run", "hatch run", "pdm run", "rye run", "uv run", "pnpm exec", "pnpm dlx",
    "npm exec",
    "yarn exec", "yarn dlx", "bundle exec", "python -m", "python3 -m", "npx", "bunx", "uvx",
)  # fmt: skip

# Flags of a runner that take a value.
RUNNER_VALUES = frozenset(
    ("--group", "--extra", "--with", "--package", "-p", "--python", "--directory", "--project")
)

SCRIPTED = frozenset(("npm", "pnpm", "yarn", "bun"))  # managers whose `run` may be left out, or not
BUILT_IN = {  # sub-commands that are no scripts of package.json
    "npm": "access add audit bugs cache ci config dedupe deprecate diff dist-tag docs doctor exec explain "
    "fund help "
    "i init install link list login logout ls outdated owner pack ping pkg prefix profile prune "
    "publish rebuild "
    "remove repo root run run-script search set shrinkwrap star team token un uninstall unpublish "
    "update up upgrade "
    "version view whoami".split(),
    "pnpm": "add audit config create deploy dlx env exec fetch i import init install link list ls outdated "
    "pack patch "
    "prune publish rebuild remove rm root run server setup store unlink update up upgrade why "
    "changeset".split(),
    "yarn": "add audit cache config create dedupe dlx exec global init install link node pack plugin publish "
    "rebuild "
    "remove run set unlink up upgrade version why workspace workspaces".split(),
    "bun": "add build create exec i init install link outdated patch pm publish remove rm run test unlink "
    "update "
    "upgrade x".split(),
}

# Other spellings of a sub-command.
SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "npm": {
        "install": ("install", "i", "add"),
        "i": ("install", "i", "add"),
        "add": ("install", "i", "add"),
        "uninstall": ("uninstall", "remove", "rm", "un"),
        "update": ("update", "up", "upgrade"),
        "test": ("test", "t", "tst"),
        "ci": ("ci", "clean-install"),
    },
    "pnpm": {
        "install": ("install", "i"),
        "i": ("install", "i"),
        "remove": ("remove", "rm", "uninstall"),
        "update": ("update", "up", "upgrade"),
        "test": ("test", "t"),
    },
    "yarn": {"upgrade": ("upgrade", "up")},
    "bun": {"install": ("install", "i"), "add": ("add", "a"), "remove": ("remove", "rm")},
    "cargo": {
        "build": ("build", "b"),
        "check": ("check", "c"),
        "test": ("test", "t"),
        "run": ("run", "r"),
        "remove": ("remove", "rm"),
    },
    "docker": {},
    "gh": {},
}

# Spellings of one flag, by program or by `program sub`; the first hit wins.
FLAGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "git push": (
        ("--force", "-f"), ("--delete", "-d"), ("--dry-run", "-n"), ("--set-upstream", "-u"), ("--no-verify",
         ),
    ),
    "git commit": (
        ("--no-verify", "-n"), ("--all", "-a"), ("--message", "-m"), ("--signoff", "-s"), ("--gpg-sign",
         "-S"),
    ),
    "git add": (("--all", "-A"), ("--force", "-f"), ("--patch", "-p"), ("--update", "-u"), ("--interactive",
    "-i")),
    "git clean": (("--force", "-f"), ("-d",), ("-x",)),
    "git checkout": (("--force", "-f"),),
    "git branch": (("--delete", "-d"), ("-D",), ("--force", "-f")),
    "git rebase": (("--interactive", "-i"),),
    "git merge": (("--no-ff",), ("--no-verify",)),
    "git tag": (("--annotate", "-a"), ("--delete", "-d"), ("--sign", "-s")),
    "cargo": (("--release", "-r"), ("--package", "-p"), ("--workspace", "--all")),
    "npm": (("--global", "-g"), ("--save-dev", "-D"), ("--silent", "-s"), ("--force",
    "-f")),
    "pnpm": (("--global", "-g"), ("--save-dev", "-D"), ("--recursive", "-r"), ("--workspace-root", "-w")),
    "pip": (("--upgrade", "-U"), ("--requirement", "-r"), ("--editable", "-e")),
    "rm": (("-r", "-R", "--recursive"), ("-f", "--force"), ("-i",)),
    "cp": (("-r", "-R", "--recursive", "-a"),),
    "chmod": (("-R", "--recursive"),),
    "chown": (("-R", "--recursive"),),
    "sed": (("-i", "--in-place"),),
    "grep": (("-r", "-R", "--recursive"),),
    "docker": (("--volumes", "-v"), ("--force", "-f"), ("--detach", "-d"), ("--all", "-a")),
    "docker-compose": (("--volumes", "-v"), ("--detach", "-d")),
    "kubectl": (("--filename", "-f"), ("--namespace", "-n"), ("--all-namespaces", "-A")),
    "terraform": (("-auto-approve", "--auto-approve"), ("-destroy", "--destroy")),
    "gh pr create": (("--base", "-B"), ("--draft", "-d"), ("--fill", "-f"), ("--title", "-t"), ("--body",
    "-b")),
    "gh pr merge": (("--admin",), ("--auto",), ("--squash", "-s"), ("--rebase", "-r"), ("--merge", "-m")),
    "curl": (("--insecure", "-k"), ("--data", "-d"), ("--request", "-X"), ("--upload-file", "-T")),
    "jest": (("--updateSnapshot", "-u"),),
    "vitest": (("--update", "-u"),),
    "pytest": (("--exitfirst", "-x"), ("--verbose", "-v")),
    "make": (("--jobs", "-j"),),
}  # fmt: skip
FLAGS["pip3"] = FLAGS["pip"]

# Flags that take a value in the next word, where a memory is likely to write them.
TAKES_VALUE: dict[str, frozenset[str]] = {
    "git": frozenset(("-m", "--message", "-C", "-c", "-F")),
    "gh": frozenset(
        ("--base", "-B", "--title", "-t", "--body", "-b", "--repo", "-R", "--label", "--head", "-H")
    ),
    "cargo": frozenset(
        ("--package", "-p", "--profile", "--target", "--features", "--bin", "--test", "--precise")
    ),
    "npm": frozenset(("-w", "--workspace", "--prefix")),
    "pnpm": frozenset(("--filter", "-F", "-C", "--dir")),
    "bun": frozenset(("--filter", "-F", "--cwd")),
    "yarn": frozenset(("--cwd",)),
    "go": frozenset(("-run", "-tags", "-count", "-timeout")),
    "pytest": frozenset(("-k", "-m", "-n", "-p", "-c")),
    "make": frozenset(("-C", "-f")),
    "tox": frozenset(("-e",)),
    "nox": frozenset(("-s",)),
    "docker": frozenset(("-f", "--file")),
    "kubectl": frozenset(("-n", "--namespace", "-f", "--filename")),
}

# Programs that do the same job: to use one of them as such is not to use the others.
NODE = ("npm", "yarn", "pnpm", "bun")
PYTHON = ("pip", "pip3", "poetry", "pipenv", "conda", "uv", "pdm")
RIVALS: dict[str, tuple[str, ...]] = {
    **{name: tuple(other for other in NODE if other != name) for name in NODE},
    "uv": ("pip", "pip3", "poetry", "pipenv", "conda", "pdm"),
    "poetry": ("pip", "pip3", "uv", "pipenv", "conda", "pdm"),
    "pdm": ("pip", "pip3", "uv", "pipenv", "conda", "poetry"),
    "pipenv": ("pip", "pip3", "uv", "poetry", "conda", "pdm"),
}

# What a package manager does when it is used as one.
MANAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "npm": (("install",), ("i",), ("add",), ("ci",), ("run",), ("test",), ("t",), ("start",), ("update",),
    ("remove",),
            ("uninstall",), ("exec",)),
    "yarn": (),
    "pnpm": (),
    "bun": (("install",), ("i",), ("add",), ("remove",), ("run",), ("update",), ("test",)),
    "pip": (("install",), ("uninstall",), ("download",)),
    "pip3": (("install",), ("uninstall",), ("download",)),
    "poetry": (("add",), ("install",), ("remove",), ("run",), ("update",), ("lock",)),
    "pipenv": (("install",), ("run",), ("update",), ("lock",), ("uninstall",)),
    "conda": (("install",), ("create",), ("update",), ("env", "create"), ("env", "update")),
    "uv": (("add",), ("sync",), ("run",), ("pip", "install"), ("lock",), ("remove",)),
    "pdm": (("add",), ("install",), ("run",), ("remove",), ("update",)),
}  # fmt: skip

# `use X`, with nothing said of what it replaces, leaves no doubt for these: X, then what not.
REPLACES: dict[str, tuple[str, ...]] = {
    "npm ci": ("npm install",),
    "trash": ("rm",),
    "trash-put": ("rm",),
    "uv run": ("python", "python3", "pytest"),
    "poetry run": ("python", "python3", "pytest"),
    "uv add": ("pip install", "uv pip install", "poetry add", "pipenv install"),
    "uv pip": ("pip install",),
    "git switch": ("git checkout",),
    "bunx": ("npx",),
    "gh": ("hub", "curl *api.github.com*", "wget *api.github.com*"),
}

# Flags that say by themselves what they belong to.
FLAG_OWNERS: dict[str, tuple[str, ...]] = {
    "--no-verify": ("git commit --no-verify", "git push --no-verify"),
    "--amend": ("git commit --amend",),
    "--no-gpg-sign": ("git commit --no-gpg-sign",),
    "--force-with-lease": ("git push --force-with-lease",),
    "--hard": ("git reset --hard",),
    "--legacy-peer-deps": ("npm install --legacy-peer-deps", "npm ci --legacy-peer-deps"),
    "--break-system-packages": ("pip install --break-system-packages",),
    "--auto-approve": ("terraform apply --auto-approve", "terraform destroy --auto-approve"),
    "-auto-approve": ("terraform apply --auto-approve", "terraform destroy --auto-approve"),
    "--force-reset": ("prisma db push --force-reset",),
    "--accept-data-loss": ("prisma db push --accept-data-loss",),
    "--no-frozen-lockfile": ("pnpm install --no-frozen-lockfile",),
}
# Verbs that are commands: "push with `--force`".
VERB_PROGRAMS: dict[str, tuple[str, ...]] = {
    **{verb: (f"git {verb}",) for verb in ("push", "commit", "merge", "rebase", "pull", "clone", "checkout")},
    "force": (),
    "install": ("npm install", "pnpm install", "yarn install", "bun install", "pip install"),
    "publish": ("npm publish", "pnpm publish", "yarn publish", "cargo publish"),
}

TOOLS: dict[str, str] = {  # names that people give to an agent's tools
    "read": "Read", "write": "Write", "edit": "Edit", "multiedit": "MultiEdit", "bash": "Bash",
    "grep": "Grep",
    "glob": "Glob", "webfetch": "WebFetch", "websearch": "WebSearch", "task": "Task",
    "notebookedit": "NotebookEdit",
    "todowrite": "TodoWrite", "ls": "LS", "web search": "WebSearch", "web fetch": "WebFetch",
}  # fmt: skip
