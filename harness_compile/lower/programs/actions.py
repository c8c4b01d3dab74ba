"""Everyday actions in words, and the commands that do them.

A phrase is matched whole, in the base form of its verb ("push to the remote"), after articles were dropped; a
command line here is read by `commands.read_command`, so it may hold flags, `<placeholder>` for at least one
argument and globs. Not covered: phrases with a branch or a path in them (`objects`).
"""

from __future__ import annotations

ADD_NODE = ("npm install <name>", "pnpm add <name>", "yarn add <name>", "bun add <name>",
    "pnpm install <name>",
            "bun install <name>")  # fmt: skip
ADD_PYTHON = ("pip install <name>", "pip3 install <name>", "uv add <name>", "uv pip install <name>",
              "poetry add <name>", "pipenv install <name>", "pdm add <name>", "conda install <name>",
              "hatch add <name>", "rye add <name>")  # fmt: skip
ADD_RUST = ("cargo add <name>",)
ADD_GO = ("go get <name>",)
ADD_OTHER = ("gem install <name>", "bundle add <name>", "composer require <name>", "dotnet add <name>",
             "flutter pub add <name>", "dart pub add <name>", "mix deps.get <name>")  # fmt: skip
ADD_ANY = (*ADD_NODE, *ADD_PYTHON, *ADD_RUST, *ADD_GO, *ADD_OTHER)
ADD: dict[str, tuple[str, ...]] = {
    "npm": ADD_NODE, "node": ADD_NODE, "node.js": ADD_NODE, "javascript": ADD_NODE, "js": ADD_NODE,
    "typescript": ADD_NODE, "frontend": ADD_NODE, "pnpm": ADD_NODE, "yarn": ADD_NODE, "bun": ADD_NODE,
    "python": ADD_PYTHON, "pip": ADD_PYTHON, "pypi": ADD_PYTHON, "rust": ADD_RUST, "cargo": ADD_RUST,
    "crate": ADD_RUST, "go": ADD_GO, "golang": ADD_GO,
}  # fmt: skip

UPDATE_ALL: dict[str, tuple[str, ...]] = {
    "cargo": ("cargo update !",),
    "npm": ("npm update !",),
    "pnpm": ("pnpm update !",),
    "yarn": ("yarn upgrade !",),
    "bun": ("bun update !",),
    "poetry": ("poetry update !",),
    "uv": ("uv lock --upgrade", "uv sync --upgrade"),
    "go": ("go get -u ./...",),
}

DESTROY_GIT = (
    "git push --force", "git push --force-with-lease", "git push +*", "git push --delete", "git reset --hard",
    "git clean --force", "git checkout .", "git checkout -- <path>", "git restore <path>", "git branch -D",
    "git branch --delete --force", "git stash drop", "git stash clear", "git reflog expire",
    "git filter-branch", "git filter-repo", "git update-ref -d",
)  # fmt: skip
DESTROY = (
    "rm -r", "rm -f", "dd", "mkfs", "mkfs.*", "shred", "truncate", "find -delete", *DESTROY_GIT, "dropdb",
    "docker system prune", "docker volume rm", "docker volume prune", "docker compose down --volumes",
    "docker-compose down --volumes", "kubectl delete", "terraform destroy", "tofu destroy", "pulumi destroy",
    "helm uninstall", "gh repo delete", "gh release delete", "redis-cli flushall", "redis-cli FLUSHALL",
    "redis-cli flushdb", "redis-cli FLUSHDB",
)  # fmt: skip
PUBLISH = (
    "npm publish", "pnpm publish", "yarn publish", "yarn npm publish", "bun publish", "cargo publish",
    "twine upload", "uv publish", "poetry publish", "hatch publish", "flit publish", "pdm publish",
    "gem push",
    "dotnet nuget push", "nuget push", "mvn deploy", "lerna publish", "changeset publish", "docker push",
    "pnpm changeset publish", "npx changeset publish", "dart pub publish", "flutter pub publish",
)  # fmt: skip
DEPLOY = (
    "vercel", "netlify deploy", "firebase deploy", "wrangler deploy", "wrangler publish", "serverless deploy",
    "sls deploy", "cdk deploy", "sam deploy", "fly deploy", "flyctl deploy", "railway up", "terraform apply",
    "tofu apply", "pulumi up", "kubectl apply", "helm install", "helm upgrade", "gcloud app deploy",
    "gcloud run deploy", "eb deploy", "kamal deploy", "cap production deploy", "ansible-playbook",
    "npm run deploy",
    "pnpm deploy", "pnpm run deploy", "yarn deploy", "yarn run deploy", "bun run deploy", "make deploy",
    "just deploy", "skaffold run", "git push heroku", "supabase functions deploy", "supabase db push",
)  # fmt: skip
MIGRATE = (
    "alembic upgrade", "alembic downgrade", "rails db:migrate", "rake db:migrate", "python manage.py migrate",
    "python3 manage.py migrate", "prisma migrate deploy", "prisma migrate dev", "prisma migrate reset",
    "prisma db push",
    "knex migrate:latest", "flyway migrate", "diesel migration run", "sqlx migrate run",
    "drizzle-kit migrate",
    "drizzle-kit push", "supabase db push", "mix ecto.migrate", "php artisan migrate", "flask db upgrade",
    "typeorm migration:run", "sequelize db:migrate",
)  # fmt: skip
DEV_SERVER = (
    "npm run dev", "npm start", "npm run start", "npm run serve", "pnpm dev", "pnpm start", "yarn dev",
    "yarn start",
    "bun run dev", "bun dev", "next dev", "vite", "vite dev", "vite serve", "rails server", "rails s",
    "python manage.py runserver", "flask run", "ng serve",
)  # fmt: skip
SEND_OUT = (
    "scp", "sftp", "rsync *:*", "nc", "ftp", "curl --upload-file", "curl --data", "curl --data-binary",
    "curl --data-raw", "curl --data-urlencode", "curl --json", "curl --form", "curl -F",
    "curl --request=POST",
    "curl --request=PUT", "curl --request=PATCH", "curl --request=DELETE", "wget --post-data",
    "wget --post-file",
    "himalaya message send", "himalaya message write", "mail", "mailx", "mutt", "sendmail", "msmtp",
)  # fmt: skip
SEND_MESSAGE = (
    "himalaya message send", "himalaya message write", "himalaya template send", "himalaya send", "mail",
    "mailx",
    "mutt", "sendmail", "msmtp", "curl --data", "curl --json", "curl --data-raw", "curl --data-binary",
    "curl --form", "curl --request=POST", "twurl", "toot post",
)  # fmt: skip

COMMIT, PUSH = ("git commit",), ("git push",)
OPEN_PR = ("gh pr create", "glab mr create", "hub pull-request")
MERGE_PR = ("gh pr merge", "glab mr merge")
FORCE = ("git push --force", "git push --force-with-lease", "git push +*")
NO_VERIFY = ("git commit --no-verify", "git push --no-verify", "git merge --no-verify")
TRAIL = (
    r"(?: (?:changes?|code|anything|work|your work|your changes|my changes|files?|to git|to repo|"
    r"to repository|"
    r"automatically|yourself|on your own|directly|commits?))*"
)

# (the phrase, commands)
ACTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(?:use |do )?(?:git )?force[- ]?push(?:es)?(?: (?:commits?|changes|branches|directly))*"
     r"(?: (?:to )?(?:any |shared |remote |public |protected )*(?:branch(?:es)?|remote|repo(?:sitory)?|"
     r"origin))?"
     r"|push (?:with )?(?:--)?force|(?:use )?force (?:flags? )?(?:when|on) push(?:es)?|rewrite "
         r"published history|"
     r"rewrite pushed history", FORCE),
    (rf"(?:git )?push{TRAIL}(?: to (?:remote|origin|upstream|github|any remote|remotes|remote branches|"
     r"remote repository|a remote))?", PUSH),
    (rf"(?:git )?commit{TRAIL}|(?:create|make) (?:new |any |git )*commits?", COMMIT),
    (r"amend(?: (?:existing |previous |pushed |old |published |last )*commits?)?", ("git commit --amend",)),
    (r"rebase(?: (?:branch(?:es)?|commits?|shared branches|public branches))?|use rebase", ("git rebase",
     "git pull --rebase")),
    (r"interactive(?:ly)? rebase|use interactive rebase|rebase interactively", ("git rebase --interactive",)),
    (r"squash(?: (?:commits?|merges?|prs?|when merging|merge prs?))?|use squash merges?",
     ("git merge --squash", "gh pr merge --squash")),
    (r"(?:change|modify|alter|update|make changes to|edit) (?:database|db) schemas?|make (?:database|"
     r"db) schema changes|"
     r"(?:database|db) schema changes", MIGRATE),
    (r"install (?:anything|(?:any )?(?:software|system software|tools?))",
     (*ADD_ANY, "apt install", "apt-get install", "brew install", "npm install --global")),
    (r"hard[- ]reset|reset hard", ("git reset --hard",)),
    (r"(?:use )?(?:git )?stash(?: changes)?", ("git stash",)),
    (r"cherry-pick(?: commits?)?", ("git cherry-pick",)),
    (r"(?:git )?merge(?: branch(?:es)?)?", ("git merge", *MERGE_PR)),
    (
        r"(?:skip|bypass|disable|circumvent|ignore)(?: (?:any|git|pre-commit|precommit|commit|pre-push|"
        r"husky|all|or))*"
     r" (?:hooks?|checks)|bypass hooks?|skip (?:commit )?verification", NO_VERIFY),
    (
        r"(?:create|open|submit|raise|make|file|send|propose)(?: (?:new|any|draft|github))* (?:prs?|pull "
        r"requests?)|"
     r"pr|pull request", OPEN_PR),
    (r"merge(?: (?:any|open|own|your|own))* (?:prs?|pull requests?)(?: yourself)?", MERGE_PR),
    (r"close (?:issues?|prs?|issues? or prs?|prs? or issues?)", ("gh issue close", "gh pr close")),
    (r"(?:create|open|file|submit)(?: (?:new|any|github))* issues?", ("gh issue create",
     "glab issue create")),
    (
        r"(?:create|push|move|delete|cut)(?: (?:new|git|release|version|or|push|delete))* tags?|tag(?: "
        r"releases?)?",
     ("git tag <name>", "git push --tags", "git push --follow-tags")),
    (r"(?:create|cut|make|publish|draft)(?: (?:new|github|any))* releases?|release(?: new versions?)?",
     ("gh release create", *PUBLISH)),
    (r"(?:create|switch|make)(?: (?:new|git|any|to))* branch(?:es)?|switch branches",
     ("git checkout -b", "git switch -c", "git switch --create", "git branch <name>")),
    (r"delete(?: (?:any|git|remote|local|or))* branch(?:es)?",
     ("git branch --delete", "git branch -D", "git push --delete", "git push :*")),
    (
        r"(?:change|modify|update|edit|alter|touch|set)(?: (?:global|local|any|user))* git(?: user)? "
        r"config(?:uration)?",
     ("git config <key> <value>", "git config --unset", "git config --add", "git config set",
      "git config unset")),
    (r"(?:bump|change|update|modify|edit|increment|touch)(?: (?:any|package|project|crate|release|library|"
     r"app))* "
     r"versions?(?: (?:numbers?|fields?|strings?))?(?: manually)?",
     ("npm version", "pnpm version", "yarn version", "bun pm version", "poetry version <value>",
      "hatch version <value>", "uv version <value>", "cargo set-version", "bump2version", "bumpversion",
      "lerna version")),
    (r"run (?:versioning|publishing|release)(?: (?:or|and) (?:versioning|publishing|release))* commands",
     ("npm version", "pnpm version", "yarn version", "changeset version", "pnpm changeset version",
      "lerna version",
      "gh release create", *PUBLISH)),
    (r"(?:upgrade|update|bump)(?: (?:any|project|package))* (?:dependenc(?:y|ies)|packages?)(?: versions?)?",
     ("npm update", "npm install *@*", "pnpm update", "yarn upgrade", "bun update", "poetry update",
      "uv lock --upgrade",
      "uv sync --upgrade", "cargo update", "go get -u", "pip install --upgrade", "bundle update",
      "composer update")),
    (
        r"publish(?: (?:any|new|package|packages|release|releases|version|versions|crate|crates|library|"
        r"artifacts?))*"
     r"(?: to (?:npm|pypi|crates\.io|registry|any registry|rubygems|maven central))?", PUBLISH),
    (
        r"(?:write|create|add|generate|run|include)(?: (?:new|any|manual|own))* changesets?(?: files?| "
        r"entries)?",
     ("changeset", "pnpm changeset", "npm run changeset", "yarn changeset", "bun changeset",
      "pnpm changeset add")),
    (
        r"deploy(?: (?:code|changes|app|application|anything|directly|to|production|prod|staging|live|"
        r"services?))*", DEPLOY),
    (
        r"(?:run|execute|apply)(?: (?:any|database|db|schema|pending|production|new|sql|prisma))* "
        r"migrations?", MIGRATE),
    (
        r"(?:run|start|launch|spin up)(?: (?:local|development|another|new|long-running|own|your))* (?:dev|"
        r"development|local)"
     r" servers?", DEV_SERVER),
    (
        r"(?:run|use|execute|perform|do|issue)(?: (?:any|potentially))* (?:destructive|dangerous) git "
        r"(?:commands?|operations?|"
     r"actions?)|destructive git (?:commands?|operations?)", DESTROY_GIT),
    (r"(?:run|use|execute|perform|do|issue|take)?(?: ?(?:any|potentially))* ?(?:destructive|irreversible)"
     r"(?: or (?:destructive|irreversible))? (?:shell )?(?:commands?|operations?|actions?)", DESTROY),
    (r"(?:use|run)(?: (?:commands?|anything))*(?: (?:as|with))? sudo|sudo|run (?:commands )?as root",
     ("sudo", "doas")),
    (
        r"(?:install|add)(?: (?:npm|any|python|node|new))* (?:packages?|tools?|dependencies) globally|"
        r"install global (?:npm |node )?(?:packages|dependencies)|"
        r"install globally|"
     r"install global packages", ("npm install --global", "pnpm add --global", "yarn global add",
     "bun add --global")),
    (r"(?:install|add)(?: (?:any|new))* (?:system|os) (?:packages?|dependencies)",
     ("apt install", "apt-get install", "brew install", "dnf install", "yum install", "snap install",
      "apk add", "pacman -S")),
    (
        r"(?:send|post|write)(?: (?:any|out|public|social|media|or))*(?: (?:emails?|tweets?|messages?|"
        r"public posts?|posts?|and|or|,))+",
     SEND_MESSAGE),
    (r"anything (?:that )?leav(?:es|ing) (?:this |your )?(?:machine|computer|box|system)|"
     r"(?:send|upload|transmit)(?: (?:any|private|user|local|project))* (?:data|files?|code)"
     r"(?: (?:outside|off|to external|externally|to third[- ]party|to remote)(?: .{1,30})?)", SEND_OUT),
    (r"(?:drop|truncate)(?: (?:any|production|or|delete|truncate))*(?: (?:databases?|tables?|or|and))+",
     ("dropdb", "psql /drop", "mysql /drop", "sqlite3 /drop", "prisma migrate reset")),
    (
        r"(?:perform|run|do|make|create|use)? ?(?:builds? )?(?:with|in|using|use)? ?release (?:profile|"
        r"builds?|mode)",
     ("cargo build --release", "cargo run --release", "cargo install --release", "cargo test --release",
      "cargo bench --release", "cargo build --profile=release", "cargo run --profile=release",
      "cargo test --profile=release", "cargo install --profile=release")),
)  # fmt: skip
