"""Checks by what they do and with which tool, and commands that look for work that is there already."""

from __future__ import annotations

LISTS = ("gh pr list", "gh search prs", "gh issue list", "gh search issues", "gh pr view", "gh issue view")
BY_NAME: dict[str, dict[str, tuple[str, ...]]] = {
    "format": {"ruff": ("ruff format",), "black": ("black",), "prettier": ("prettier",), "gofmt": ("gofmt",
    "go fmt", "goimports", "gofumpt"),
               "go fmt": ("go fmt", "gofmt"), "goimports": ("goimports",), "gofumpt": ("gofumpt",),
               "rustfmt": ("cargo fmt", "rustfmt"), "cargo fmt": ("cargo fmt", "rustfmt"),
               "clang-format": ("clang-format",), "biome": ("biome",), "isort": ("isort",),
               "shfmt": ("shfmt",), "swiftformat": ("swiftformat",),
               "terraform fmt": ("terraform fmt",), "dart format": ("dart format",),
               "mix format": ("mix format",),
               "spotless": ("mvn spotless:apply", "./mvnw spotless:apply", "gradle spotlessApply",
                            "./gradlew spotlessApply")},
    "lint": {"ruff": ("ruff check",), "eslint": ("eslint",), "flake8": ("flake8",), "pylint": ("pylint",),
    "clippy": ("cargo clippy",), "biome": ("biome",),
             "golangci-lint": ("golangci-lint run",), "rubocop": ("rubocop",), "shellcheck": ("shellcheck",),
             "swiftlint": ("swiftlint",)},
    "type": {"mypy": ("mypy",), "pyright": ("pyright", "basedpyright"), "basedpyright": ("basedpyright",),
    "tsc": ("tsc",), "ty": ("ty check",)},
}  # fmt: skip

# Programs that run the tests of a language by themselves.
TESTERS: dict[str, tuple[str, ...]] = {
    "python": ("pytest", "nose2", "nosetests"),
    "javascript": ("jest", "vitest", "mocha", "jasmine", "karma start", "ng test", "ava"),
    "go": ("go test", "gotestsum", "ginkgo"),
    "rust": ("cargo test", "cargo nextest"),
    "ruby": ("rspec",),
    "php": ("phpunit", "pest"),
    "c#": ("dotnet test",),
}
# Build systems that run tests in environments of their own making: a tester beside them sees other files.
SYSTEMS = frozenset("bazel bazelisk buck2 pants please tox nox nx turbo hatch moon earthly".split())
ENVIRONMENTS = frozenset(
    ("uv run", "poetry run", "pipenv run", "pdm run", "hatch run", "rye run", "bundle exec")
)
