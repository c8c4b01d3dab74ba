"""Languages, areas and well-known files as path globs. Not covered: a project's own layout."""

from __future__ import annotations

WEB = (
    "*.ts", "*.tsx", "*.js", "*.jsx", "*.mjs", "*.cjs", "*.mts", "*.cts", "*.vue", "*.svelte", "*.astro",
    "*.css",
    "*.scss", "*.less",
)  # fmt: skip
LANGUAGES: dict[str, tuple[str, ...]] = {
    "python": ("*.py", "*.pyi"),
    "typescript": ("*.ts", "*.tsx", "*.mts", "*.cts"),
    "javascript": WEB,
    "go": ("*.go", "go.mod"),
    "rust": ("*.rs", "Cargo.toml"),
    "java": ("*.java",),
    "kotlin": ("*.kt", "*.kts"),
    "jvm": ("*.java", "*.kt", "*.kts", "*.scala", "*.groovy"),
    "c": ("*.c", "*.h", "*.cc", "*.cpp", "*.cxx", "*.hpp", "*.hh"),
    "c++": ("*.c", "*.h", "*.cc", "*.cpp", "*.cxx", "*.hpp", "*.hh"),
    "c#": ("*.cs",),
    "ruby": ("*.rb",),
    "php": ("*.php",),
    "swift": ("*.swift",),
    "elixir": ("*.ex", "*.exs"),
    "scala": ("*.scala",),
    "haskell": ("*.hs",),
    "dart": ("*.dart",),
    "zig": ("*.zig",),
    "shell": ("*.sh", "*.bash"),
    "nix": ("*.nix",),
    "lua": ("*.lua",),
    "terraform": ("*.tf", "*.tfvars"),
    "protobuf": ("*.proto",),
    "proto": ("*.proto",),
    "sql": ("*.sql",),
    "graphql": ("*.graphql", "*.gql"),
    "css": ("*.css", "*.scss", "*.less"),
    "styles": ("*.css", "*.scss", "*.less"),
    "stylesheets": ("*.css", "*.scss", "*.less"),
    "markdown": ("*.md", "*.mdx"),
    "frontend": (*WEB, "*.html"),
    "backend": (
        "*.py", "*.go", "*.rs", "*.java", "*.kt", "*.rb", "*.php", "*.cs", "*.ex", "*.scala", "*.c", "*.cpp",
    ),
    "sdk": (),
}  # fmt: skip
LANGUAGES |= {
    "golang": LANGUAGES["go"],
    "ts": LANGUAGES["typescript"],
    "js": WEB,
    "front-end": LANGUAGES["frontend"],
}
LANGUAGES |= {"back-end": LANGUAGES["backend"], "py": LANGUAGES["python"], "cpp": LANGUAGES["c++"]}

# Everything but prose: what a check of the code is about when nothing narrower is said.
CODE = ("**", "!*.md", "!*.mdx", "!*.rst", "!*.txt", "!*.adoc", "!LICENSE*", "!docs/**", "!.gitignore")

# The language that a command is about.
SPEAKS: dict[str, str] = {
    "pytest": "python", "ruff": "python", "black": "python", "isort": "python", "mypy": "python",
    "pyright": "python",
    "basedpyright": "python", "flake8": "python", "pylint": "python", "ty": "python", "tox": "python",
    "nox": "python", "go": "go", "gofmt": "go", "goimports": "go", "gofumpt": "go", "golangci-lint": "go",
    "cargo": "rust", "rustfmt": "rust", "rustc": "rust", "npm": "javascript", "pnpm": "javascript",
    "yarn": "javascript", "bun": "javascript", "eslint": "javascript", "prettier": "javascript",
    "tsc": "typescript",
    "vue-tsc": "javascript", "jest": "javascript", "vitest": "javascript", "mocha": "javascript",
    "biome": "javascript", "oxlint": "javascript", "mvn": "jvm", "./mvnw": "jvm", "gradle": "jvm",
    "./gradlew": "jvm", "ktlint": "kotlin", "detekt": "kotlin", "dotnet": "c#", "rubocop": "ruby",
    "rspec": "ruby",
    "phpunit": "php", "phpstan": "php", "mix": "elixir", "swiftlint": "swift", "clang-format": "c++",
    "clang-tidy": "c++", "ctest": "c++", "shellcheck": "shell", "shfmt": "shell", "terraform": "terraform",
    "dart": "dart", "flutter": "dart", "zig": "zig", "buf": "protobuf", "stylelint": "css", "sqlfluff": "sql",
}  # fmt: skip

COMPONENTS = ("*.tsx", "*.jsx", "*.vue", "*.svelte", "*.astro")  # where web frameworks keep theirs

LOCKFILES = (
    "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "Cargo.lock", "poetry.lock",
    "uv.lock", "Pipfile.lock", "pdm.lock", "Gemfile.lock", "composer.lock", "go.sum", "flake.lock",
    "mix.lock",
)  # fmt: skip
SECRETS = (
    ".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template", "*.pem", "*.key", "id_rsa",
    "id_ed25519",
    ".netrc", "credentials.json", "secrets.*", "~/.ssh/**", "~/.aws/credentials",
)  # fmt: skip
ENV = (".env", ".env.*", "!.env.example", "!.env.sample", "!.env.template")
TESTS = (
    "tests/**", "test/**", "__tests__/**", "spec/**", "**/tests/**", "**/test/**", "**/__tests__/**",
    "test_*.py",
    "*_test.py", "*_test.go", "*.test.*", "*.spec.*", "*Test.java", "*Tests.cs", "*_spec.rb",
)  # fmt: skip
WORKFLOWS = (".github/workflows/**", ".gitlab-ci.yml", ".circleci/**", "azure-pipelines.yml", "Jenkinsfile")

# Nouns for files: (pattern of the noun phrase, globs, whether only files that are there already are meant)
NOUNS: tuple[tuple[str, tuple[str, ...], bool | None], ...] = (
    (r"(?:any |the |package |dependency )*lock[- ]?files?(?: directly)?", LOCKFILES, None),
    (r"(?:any |the )*\.?env files?|environment files?|dotenv files?", ENV, None),
    (r"(?:any |the |committed |merged )*(?:existing|old|past|previous|applied|committed|merged|historical) "
     r"(?:database |db |sql )?migrations?(?: files?)?", ("**/migrations/**", "migrations/**"), True),
    (r"(?:any |the )*(?:database |db |sql )?migrations?(?: files?)?",
     ("**/migrations/**", "migrations/**"), True),
    (r"(?:any |the |all )*(?:database |db |sql )?migrations?(?: files?)? (?:that|which) "
     r"(?:have|has|are|were|is|was) (?:already )?(?:been )?(?:merged|applied|committed|run|deployed|"
     r"released|shipped|checked in)",
     ("**/migrations/**", "migrations/**"), True),
    (r"(?:any |the )*node_modules(?: folder| directory)?", ("node_modules/**", "**/node_modules/**"), None),
    (
        r"(?:any |the )*(?:ci|ci/cd|github actions?|workflow)(?: configs?| configurations?| workflows?| "
        r"files?| settings?"
     r"| pipelines?| definitions?)+|(?:the )?ci|github (?:actions )?workflows?(?: (?:files?|definitions?|"
     r"configs?|yaml))*", WORKFLOWS, None),
    (r"(?:any |the |new )*(?:documentation|markdown|docs|\*\.md|\.md|readme)(?: or readme)? files?"
     r"(?: \(\*?\.md\))?", ("*.md", "*.mdx"), None),
    (r"(?:any |the |existing )*tests?(?: files?| cases?| suite)?", TESTS, None),
    (r"(?:any |the |new )*changesets?(?: files?)?", ("/.changeset/*.md",), None),
    (r"(?:the )?docs?(?: site| folder| directory)|(?:the )?documentation (?:site|folder|directory)",
     ("docs/**", "doc/**"), None),
    (r"(?:any |the )*protobuf files?|(?:any |the )*\.proto files?", ("*.proto",), None),
    (r"(?:any |the )*(?:license|licence)(?: file)?", ("/LICENSE*", "/LICENCE*"), None),
)  # fmt: skip
SECRET_NOUNS = (
    r"(?:any |the |your |our |their |or )*(?:secrets?|credentials?|private keys?|api keys?)(?: files?)?"
    r"|\.?env files?|dotenv files?"
)

ROOT_FILES = frozenset(
    ("README.md", "README", "LICENSE", "SECURITY.md")
)  # meant at the root unless a path says more
