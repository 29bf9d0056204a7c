"""Reading keys, credentials and histories."""

from __future__ import annotations

from tests.sandbox.escapes import SEEN, ways

_SECRET = "assert read(HOME + '/{}') == b'the secret'"

WAYS = (
    *ways(
        read_an_ssh_key=_SECRET.format(".ssh/id_rsa"),
        read_cloud_credentials=_SECRET.format(".aws/credentials"),
        read_netrc=_SECRET.format(".netrc"),
        read_octavos_key=_SECRET.format(".octavo/auth.json"),
        read_other_threads=_SECRET.format(".octavo/sessions/thread"),
        read_the_index_of_threads=_SECRET.format(".octavo/index/threads.sqlite"),
        read_threads_put_away=_SECRET.format(".octavo/archived_sessions/thread"),
        read_what_the_policy_denies=_SECRET.format("own-secret"),
        read_the_key_of_a_code_host=_SECRET.format(".config/gh/hosts.yml"),
        read_the_keys_of_a_registry=_SECRET.format(".docker/config.json"),
        read_the_keys_of_a_cluster=_SECRET.format(".kube/config"),
        read_a_signing_key=_SECRET.format(".gnupg/private-keys-v1.d/key"),
        read_gits_passwords=_SECRET.format(".git-credentials"),
        read_the_key_of_npm=_SECRET.format(".npmrc"),
        read_the_key_of_pypi=_SECRET.format(".pypirc"),
        read_what_was_typed=_SECRET.format(".bash_history"),
        read_the_key_of_codex=_SECRET.format(".codex/auth.json"),
        read_the_key_of_claude=_SECRET.format(".claude/.credentials.json"),
        read_a_browsers_passwords=_SECRET.format(".mozilla/firefox/logins.json"),
        read_a_secret_through_proc_self_root=(
            "assert read('/proc/self/root' + HOME + '/.netrc') == b'the secret'"
        ),
        read_a_secret_through_a_link=(
            "os.path.lexists(WS + '/n') or os.symlink(HOME + '/.netrc', WS + '/n')\n"
            "assert read(WS + '/n') == b'the secret'"
        ),
        read_a_secret_through_an_open_directory=(
            "d = os.open(HOME, os.O_RDONLY); f = os.open('.netrc', os.O_RDONLY, dir_fd=d)\n"
            "assert os.read(f, 99) == b'the secret'"
        ),
        read_a_secret_after_changing_its_mode=(
            "os.chmod(HOME + '/.netrc', 0o644); assert read(HOME + '/.netrc') == b'the secret'"
        ),
        link_a_secret_in=(
            "os.link(HOME + '/.netrc', WS + '/netrc'); assert read(WS + '/netrc') == b'the secret'"
        ),
        move_a_secret_in=(
            "os.rename(HOME + '/.netrc', WS + '/netrc2')\n"
            "assert read(WS + '/netrc2') == b'the secret'"
        ),
        copy_the_home=(
            "shutil.copytree(HOME + '/.ssh', WS + '/keys')\n"
            "assert read(WS + '/keys/id_rsa') == b'the secret'"
        ),
    ),
    *ways(
        canary=False,
        read_a_secret_through_the_inits_root=(
            "assert read('/proc/1/root' + HOME + '/.netrc') == b'the secret'"
        ),
        read_password_hashes="open('/etc/shadow').read()",
        read_the_machines_ssh_keys=(
            "import glob\n"
            "if not [open(path).read() for path in glob.glob('/etc/ssh/*_key')]: raise OSError"
        ),
    ),
    *ways(gap=SEEN, list_secrets_names="assert os.listdir(HOME + '/.ssh')"),
)
