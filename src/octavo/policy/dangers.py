"""The commands whose effect a person would want to be asked about first, as a table.

Each line says which words make a command dangerous and why, and shows commands it means and
commands it does not; a test holds it to them. What depends on paths (`rm`, `mv`, redirections) is
in `destructive`.
"""

from __future__ import annotations

import msgspec


class Danger(msgspec.Struct, frozen=True):
    """One way to destroy something.

    Attributes:
        id: stable, for programs.
        programs: names of the program, without folder.
        why: one sentence for a person.
        verbs: patterns the first words that are no options must match, in this order.
        anywhere: a pattern any word that is no option must match.
        flags: options of which one must be there: `-f` also inside `-xf`, `--force` also as
            `--forc`. Empty asks for none.
        also: a second group, as `flags`.
        unless: options that make it harmless.
        plainly: whether only words that are known count; for programs that run any code at all,
            or do no harm to others inside the cage.
        word: a pattern any word, options included, must match.
        means: commands it means.
        spares: commands it does not.
    """

    id: str
    programs: tuple[str, ...]
    why: str
    means: tuple[str, ...]
    spares: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    anywhere: str = ""
    flags: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    plainly: bool = False
    unless: tuple[str, ...] = ()
    word: str = ""


_GIT = ("git",)
_FORCE = ("-f", "--force")

DANGERS: tuple[Danger, ...] = (
    # ---- git ----
    Danger(
        "git-reset-hard",
        _GIT,
        "It throws away every change that is not committed.",
        verbs=("reset",),
        flags=("--hard", "--merge", "--keep"),
        means=("git reset --hard", "git -C sub reset --hard HEAD~3", "git reset --har"),
        spares=("git reset", "git reset --soft HEAD~1", "git reset -- --hard"),
    ),
    Danger(
        "git-clean",
        _GIT,
        "It deletes files that git does not know, which nothing can bring back.",
        verbs=("clean",),
        flags=(*_FORCE, "-i", "--interactive", "-d", "-x", "-X"),
        unless=("-n", "--dry-run"),
        means=("git clean -fdx", "git clean --force", "git clean -d -f"),
        spares=("git clean -n", "git clean -ndx", "git status -fdx"),
    ),
    Danger(
        "git-checkout-files",
        _GIT,
        "It overwrites files with an older version and loses what was changed in them.",
        verbs=("checkout",),
        word=r"--|\.|\./|:/|-f|--fo\w*|-\w*f|--ours|--theirs|--pathspec-from-file.*|-B|-p|--patch",
        means=("git checkout -- a.py", "git checkout .", "git checkout -f main"),
        spares=("git checkout main", "git checkout -b new"),
    ),
    Danger(
        "git-restore",
        _GIT,
        "It overwrites files with an older version and loses what was changed in them.",
        verbs=("restore",),
        unless=("--staged", "-S"),
        means=("git restore a.py", "git restore .", "git restore --source HEAD~1 a.py"),
        spares=("git restore --staged a.py",),
    ),
    Danger(
        "git-restore-worktree",
        _GIT,
        "It overwrites files with an older version and loses what was changed in them.",
        verbs=("restore",),
        flags=("--worktree", "-W"),
        means=("git restore --staged --worktree a.py", "git restore -SW ."),
        spares=("git restore --staged .",),
    ),
    Danger(
        "git-switch-force",
        _GIT,
        "It throws away the changes that stand in the way of switching.",
        verbs=("switch",),
        flags=(*_FORCE, "--discard-changes", "-C", "--force-create"),
        means=("git switch -f main", "git switch --discard-changes main"),
        spares=("git switch main", "git switch -c new"),
    ),
    Danger(
        "git-branch-delete",
        _GIT,
        "It deletes or moves a branch even where its commits are nowhere else.",
        verbs=("branch",),
        flags=("-D", "-M", "-C", *_FORCE),
        means=("git branch -D topic", "git branch -d -f topic", "git branch --delete --force x"),
        spares=("git branch -d topic", "git branch", "git branch --list"),
    ),
    Danger(
        "git-push-force",
        _GIT,
        "It rewrites or deletes what others may have fetched from the remote.",
        verbs=("push",),
        word=r"-\w*[fd]\w*|--fo\w*(-\S*)?|--force-\S*|--mirror|--mir\w*|--de\w*|--prune|--pru\w*"
        r"|\+\S*|:\S+",
        means=(
            "git push --force",
            "git push -f origin main",
            "git push --force-with-lease",
            "git push origin +main",
            "git push origin :topic",
            "git push --mirror",
            "git push origin --delete topic",
            "git push -uf",
        ),
        spares=("git push", "git push -u origin main", "git push origin main:main"),
    ),
    Danger(
        "git-stash-drop",
        _GIT,
        "It deletes stashed changes.",
        verbs=("stash", "drop|clear"),
        means=("git stash drop", "git stash clear"),
        spares=("git stash", "git stash pop", "git stash list"),
    ),
    Danger(
        "git-reflog",
        _GIT,
        "It deletes the record by which lost commits are found again.",
        verbs=("reflog", "expire|delete|drop"),
        means=("git reflog expire --expire=now --all", "git reflog delete HEAD@{1}"),
        spares=("git reflog", "git reflog show"),
    ),
    Danger(
        "git-prune",
        _GIT,
        "It deletes commits that no branch holds.",
        verbs=("gc|prune|repack",),
        word=r"prune|--prune(=.*)?|--pru\w*(=.*)?|-\w*[ad]\w*",
        means=("git gc --prune=now", "git prune", "git repack -ad"),
        spares=("git gc", "git gc --auto"),
    ),
    Danger(
        "git-rewrite",
        _GIT,
        "It rewrites the history of the repository.",
        verbs=("filter-branch|filter-repo|replace|fast-import",),
        means=("git filter-branch --tree-filter true", "git filter-repo --path a"),
        spares=("git log",),
    ),
    Danger(
        "git-update-ref",
        _GIT,
        "It moves or deletes branches and tags directly.",
        verbs=("update-ref|symbolic-ref|read-tree|checkout-index",),
        flags=("-d", "--delete", "--stdin", "--reset", "-u", *_FORCE),
        means=("git update-ref -d refs/heads/main", "git read-tree --reset -u HEAD"),
        spares=("git update-ref refs/heads/x HEAD", "git symbolic-ref HEAD"),
    ),
    Danger(
        "git-worktree-remove",
        _GIT,
        "It removes a worktree with the changes in it.",
        verbs=("worktree", "remove|prune"),
        flags=_FORCE,
        means=("git worktree remove --force ../x",),
        spares=("git worktree list", "git worktree remove ../x"),
    ),
    Danger(
        "git-rm-force",
        _GIT,
        "It deletes files with changes that are not committed.",
        verbs=("rm",),
        flags=_FORCE,
        unless=("--cached",),
        means=("git rm -rf src", "git rm --force a"),
        spares=("git rm a", "git rm --cached -f a"),
    ),
    Danger(
        "git-tag-delete",
        _GIT,
        "It deletes or moves a tag.",
        verbs=("tag",),
        flags=("-d", "--delete", *_FORCE),
        means=("git tag -d v1", "git tag -f v1"),
        spares=("git tag v1", "git tag -l"),
    ),
    Danger(
        "git-submodule-deinit",
        _GIT,
        "It deletes the files of a submodule.",
        verbs=("submodule", "deinit"),
        flags=_FORCE,
        means=("git submodule deinit -f sub",),
        spares=("git submodule update",),
    ),
    Danger(
        "git-config",
        _GIT,
        "A git setting can make every later git command run a program.",
        verbs=("config",),
        word=r"(?i)(alias|core\.(pager|editor|sshcommand|fsmonitor|hookspath|gitproxy|askpass)|.*\.(cmd"
        r"|driver|textconv|clean|smudge|process|helper|program|command|insteadof)|include\S*"
        r"|sequence\.editor|diff\.external|pager)(\.\S*)?",
        means=("git config alias.st '!rm x'", "git config --global core.hooksPath /tmp/x"),
        spares=("git config user.name A", "git config --list"),
    ),
    # ---- files and devices ----
    Danger(
        "find-delete",
        ("find", "gfind"),
        "It deletes every file it finds.",
        word=r"-delete|-fprint\w*|-fls",
        means=("find . -name x -delete", "find / -fprint out"),
        spares=("find . -name delete", "find . -print"),
    ),
    Danger(
        "fd-delete",
        ("fd", "fdfind"),
        "It runs a command on every file it finds.",
        flags=("-x", "-X", "--exec", "--exec-batch"),
        word=r"rm|\S*/rm|unlink|shred|truncate",
        means=("fd -e pyc -x rm",),
        spares=("fd pyc", "fd -x wc"),
    ),
    Danger(
        "dd",
        ("dd", "gdd", "dcfldd"),
        "It overwrites a file or a device byte by byte.",
        word=r"of=(?!/dev/(null|stdout|stderr)$).*",
        means=("dd if=/dev/zero of=/dev/sda", "dd of=x"),
        spares=("dd if=x", "dd if=x of=/dev/null bs=1M"),
    ),
    Danger(
        "mkfs",
        tuple(
            (
                "mkfs mke2fs mkswap newfs wipefs blkdiscard fdisk sfdisk cfdisk gdisk sgdisk "
                "parted diskutil "
                "cryptsetup mdadm hdparm badblocks mkfs.f2fs mkfs.ntfs "
                "mkfs.minix "
                "pvremove vgremove lvremove zpool zfs btrfs nvme mkfs.ext2 mkfs.ext3 "
                "mkfs.ext4 mkfs.xfs "
                "mkfs.btrfs mkfs.vfat mkfs.fat"
            ).split()
        ),
        "It formats, wipes or repartitions a disk.",
        means=("mkfs.ext4 /dev/sda1", "wipefs -a /dev/sdb", "diskutil eraseDisk x"),
        spares=("lsblk",),
    ),
    Danger(
        "shred",
        ("shred", "srm", "wipe", "scrub", "bleachbit"),
        "It overwrites files so that nothing can bring them back.",
        means=("shred -u secrets.txt",),
    ),
    Danger(
        "truncate",
        ("truncate", "fallocate"),
        "It cuts a file off, or punches holes in it.",
        flags=("-s", "--size", "-r", "--reference", "-p", "--punch-hole", "-z", "-c", "-d"),
        means=("truncate -s 0 data.db", "truncate --size=0 x"),
        spares=("truncate --help",),
    ),
    Danger(
        "chmod-recursive",
        ("chmod", "chown", "chgrp", "chattr", "setfacl", "chflags", "chcon"),
        "It changes the rights of every file below a folder, and nothing records what they were.",
        flags=("-R", "--recursive"),
        means=("chmod -R 777 .", "chown --recursive me:me /srv"),
        spares=("chmod +x run.sh", "chown me file"),
    ),
    Danger(
        "rsync-delete",
        ("rsync",),
        "It deletes what is at the target and not at the source.",
        word=r"--del\S*|--remove-source-files|--ins?place",
        means=("rsync -a --delete a/ b/",),
        spares=("rsync -a a/ b/",),
    ),
    Danger(
        "crontab-remove",
        ("crontab",),
        "It deletes all scheduled jobs of a user, or replaces them.",
        flags=("-r",),
        means=("crontab -r", "crontab -ir"),
        spares=("crontab -l",),
    ),
    # ---- processes and the machine ----
    Danger(
        "kill-all",
        ("kill",),
        "It kills every process of the user.",
        word=r"-1|0",
        plainly=True,
        also=("-9", "-15", "-s", "-n", "-KILL", "-TERM", "-SIGKILL", "-SIGTERM", "--", "--signal"),
        means=("kill -9 -1", "kill -KILL -1", "kill -- -1"),
        spares=("kill 123", "kill -9 123", "kill -1 123"),
    ),
    Danger(
        "killall",
        ("killall", "pkill", "killall5", "skill"),
        "It kills processes by name, other people's work among them.",
        means=("pkill -f node", "killall python"),
    ),
    Danger(
        "power",
        ("shutdown", "reboot", "halt", "poweroff", "init", "telinit", "kexec"),
        "It stops or restarts the machine.",
        means=("shutdown -h now", "reboot", "init 0"),
    ),
    Danger(
        "systemctl",
        ("systemctl", "service", "launchctl", "rc-service"),
        "It stops or changes a service of the machine.",
        anywhere=r"stop|disable|mask|kill|poweroff|reboot|halt|kexec|isolate|emergency|rescue|unload"
        r"|bootout|remove",
        means=("systemctl stop sshd", "systemctl reboot", "service nginx stop"),
        spares=("systemctl status sshd",),
    ),
    Danger(
        "users",
        ("userdel", "groupdel", "deluser", "delgroup", "passwd", "usermod", "visudo", "chpasswd"),
        "It changes who may use the machine.",
        means=("userdel -r bob", "passwd root"),
    ),
    Danger(
        "firewall",
        ("iptables", "ip6tables", "nft", "ufw", "pfctl"),
        "It changes the firewall.",
        word=r"-[FXDZPAI]|--flush|--delete|flush|delete|reset|disable|add|insert|-d",
        means=("iptables -F", "ufw disable", "nft flush ruleset"),
        spares=("iptables -L", "ufw status"),
    ),
    # ---- publishing ----
    Danger(
        "npm-publish",
        ("npm", "pnpm", "yarn", "bun"),
        "It publishes a package, or takes one back, for everybody to see.",
        anywhere=r"publish|unpublish|deprecate|dist-tag|owner|access",
        means=("npm publish", "pnpm --filter x publish", "yarn npm publish", "npm unpublish x"),
        spares=("npm install", "npm run build"),
    ),
    Danger(
        "python-publish",
        ("twine", "flit", "poetry", "uv", "hatch", "pdm", "maturin"),
        "It publishes a package for everybody to see.",
        verbs=("upload|publish|register",),
        means=("twine upload dist/*", "uv publish", "poetry publish --build", "maturin upload x"),
        spares=("twine check dist/*", "uv sync"),
    ),
    Danger(
        "python-module-publish",
        ("python", "python3", "py"),
        "It publishes a package for everybody to see.",
        plainly=True,
        flags=("-m",),
        word=r"twine|flit",
        means=("python -m twine upload dist/*",),
        spares=("python -m pytest", "python twine.py"),
    ),
    Danger(
        "cargo-publish",
        ("cargo",),
        "It publishes a crate, or takes one back, for everybody to see.",
        anywhere=r"publish|yank|owner",
        means=("cargo publish", "cargo yank --version 1.0.0 x", "cargo +nightly publish"),
        spares=("cargo build",),
    ),
    Danger(
        "publish",
        tuple(
            (
                "gem docker podman helm dotnet nuget mvn gradle gradlew vsce ovsx mix pod conda "
                "anaconda skopeo crane oras nerdctl clojure"
            ).split()
        ),
        "It publishes a package or an image for others to use.",
        anywhere=r"push|publish|upload|deploy|release:perform|hex\.publish|yank|trunk"
        r"|publish\w+|:?\w*:publish\w*",
        means=("gem push x.gem", "docker push me/app", "docker image push me/app", "mvn deploy"),
        spares=("docker build .", "gem install x", "mvn test"),
    ),
    # ---- containers, clouds, databases ----
    Danger(
        "containers",
        ("docker", "podman", "nerdctl", "docker-compose"),
        "It deletes containers, images or volumes with what is in them.",
        anywhere=r"rm|rmi|prune|kill|down|remove",
        means=("docker system prune -af", "docker rm -f db", "docker compose down -v"),
        spares=("docker ps", "docker compose up"),
    ),
    Danger(
        "aws",
        ("aws",),
        "It deletes something in the cloud.",
        anywhere=r"(delete|terminate|remove|deregister|purge|destroy|revoke|disable|cancel|stop"
        r"|detach|schedule-key-deletion|release|reset|put-bucket|modify)(-.*)?|rm|rb|mv",
        means=(
            "aws s3 rm s3://b --recursive",
            "aws ec2 terminate-instances --instance-ids i-1",
            "aws --profile p dynamodb delete-table --table-name t",
        ),
        spares=("aws s3 ls", "aws ec2 describe-instances"),
    ),
    Danger(
        "aws-sync-delete",
        ("aws", "gsutil", "rclone", "azcopy", "gcloud"),
        "It deletes what is in the cloud and not here.",
        flags=("--delete", "-d", "--delete-destination"),
        means=("aws s3 sync . s3://b --delete", "gsutil rsync -d . gs://b"),
        spares=("aws s3 sync . s3://b",),
    ),
    Danger(
        "cloud",
        tuple(
            (
                "gcloud gsutil az doctl heroku fly flyctl vercel netlify railway linode-cli hcloud "
                "oci ibmcloud exo scw wrangler firebase supabase eksctl kops pscale neonctl rclone "
                "azcopy b2 mc s3cmd bq cf render glab tea stripe serverless sls copilot cdk sam "
                "pulumi"
            ).split()
        ),
        "It deletes something in the cloud.",
        anywhere=r"(.*[:-])?(delete|destroy|remove|purge|rm|rb|rmdir|del|deletefile|terminate|cleanup|reset"
        r"|kill|drop|unlink|down)([-:].*)?",
        means=(
            "gcloud compute instances delete vm",
            "az group delete -n g",
            "heroku apps:destroy app",
            "heroku pg:reset",
            "fly apps destroy x",
            "pulumi destroy --yes",
        ),
        spares=("gcloud compute instances list", "az vm list", "heroku logs"),
    ),
    Danger(
        "kubectl",
        ("kubectl", "oc", "k", "k9s", "kubecolor"),
        "It deletes or drains something in a cluster.",
        anywhere=r"delete|drain|replace|cordon|evict|scale",
        means=("kubectl delete ns prod", "kubectl -n prod delete pod x", "kubectl drain node"),
        spares=("kubectl get pods", "kubectl apply -f x"),
    ),
    Danger(
        "helm",
        ("helm",),
        "It removes or rolls back a release in a cluster.",
        anywhere=r"uninstall|delete|del|un|rollback",
        means=("helm uninstall app", "helm -n prod delete app"),
        spares=("helm list",),
    ),
    Danger(
        "terraform",
        ("terraform", "tofu", "terragrunt", "opentofu"),
        "It destroys or changes infrastructure.",
        anywhere=r"destroy|taint|force-unlock|run-all",
        means=("terraform destroy", "terraform -chdir=x destroy", "tofu destroy -auto-approve"),
        spares=("terraform plan", "terraform init"),
    ),
    Danger(
        "terraform-unasked",
        ("terraform", "tofu", "terragrunt", "opentofu"),
        "It changes infrastructure without showing the plan first.",
        word=r"--?auto-approve(=.*)?|--?destroy(=.*)?",
        means=("terraform apply -auto-approve", "terraform apply -destroy"),
        spares=("terraform apply", "terraform validate"),
    ),
    Danger(
        "terraform-state",
        ("terraform", "tofu", "terragrunt"),
        "It removes infrastructure from what is kept track of.",
        verbs=("state|workspace", "rm|mv|push|delete|replace-provider"),
        means=("terraform state rm x", "terraform workspace delete prod"),
        spares=("terraform state list",),
    ),
    Danger(
        "gh",
        ("gh",),
        "It deletes, closes or overwrites something at GitHub.",
        anywhere=r"delete|archive|transfer|rename|remove|delete-asset|purge",
        means=("gh repo delete me/x --yes", "gh release delete v1", "gh secret delete X"),
        spares=("gh pr list", "gh repo view"),
    ),
    Danger(
        "gh-api",
        ("gh", "curl", "wget", "http", "https", "xh", "httpie", "glab"),
        "It asks a server to delete something.",
        word=r"(?i)-X\s*DELETE|DELETE|--(request|method)=DELETE|-XDELETE",
        means=(
            "gh api -X DELETE repos/me/x",
            "curl -XDELETE http://h/x",
            "curl -X DELETE http://h",
        ),
        spares=("curl http://h/delete-me", "gh api repos/me/x"),
    ),
    Danger(
        "database-drop",
        tuple(
            (
                "dropdb dropuser mysqladmin redis-cli psql mysql mariadb sqlite3 mongo mongosh "
                "sqlcmd cockroach clickhouse-client duckdb cqlsh bq influx snowsql sqlplus "
                "clickhouse usql pgcli mycli litecli turso"
            ).split()
        ),
        "It deletes a database, tables or rows.",
        word=r"(?is).*\b(drop|truncate|delete\s+from|dropDatabase|flushall|flushdb|shutdown|deleteMany"
        r"|remove\(|alter\s+\w+\s+\S+\s+drop|update\s+\S+\s+set)\b.*",
        means=(
            "psql -c 'DROP TABLE users'",
            "mysql -e 'delete from t'",
            "psql --command='drop database x'",
            "redis-cli flushall",
            "mongosh --eval 'db.dropDatabase()'",
        ),
        spares=("psql -c 'select 1'", "sqlite3 x.db .tables"),
    ),
    Danger(
        "database-tool",
        ("dropdb", "dropuser"),
        "It deletes a database or a user of it.",
        means=("dropdb prod",),
    ),
    Danger(
        "framework-reset",
        (
            "rails",
            "rake",
            "prisma",
            "alembic",
            "artisan",
            "sequelize",
            "knex",
            "dbmate",
            "django-admin",
        ),
        "It empties or rolls back a database.",
        anywhere=r"db:(drop|reset|purge|rollback|schema:load|setup|truncate\S*)|reset|downgrade|drop"
        r"|flush|migrate:(fresh|reset|rollback|undo)|db:wipe|down|base",
        means=("rails db:drop", "prisma migrate reset", "alembic downgrade base"),
        spares=("rails db:migrate", "alembic upgrade head"),
    ),
    Danger(
        "packages-remove",
        ("apt", "apt-get", "dnf", "yum", "pacman", "brew", "apk", "zypper", "snap", "dpkg", "rpm"),
        "It removes packages from the machine.",
        word=r"remove|purge|autoremove|erase|uninstall|del|autopurge|--(purge|remove|erase)|-[RPre]\w*",
        means=("apt-get purge -y x", "brew uninstall x", "pacman -Rns x"),
        spares=("apt-get update", "brew list"),
    ),
    Danger(
        "history",
        ("history", "logrotate", "journalctl"),
        "It erases a record of what was done.",
        word=r"-c|-d|--vacuum-\S*|--rotate|-f|--flush",
        means=("journalctl --vacuum-time=1s",),
        spares=("journalctl -u x",),
    ),
)
"""Every line of the table; the first that means a command names it."""
