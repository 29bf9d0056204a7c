"""Programs that people use all day do their work in the cage, in each tier that promises it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from octavo.sandbox import Sandbox
from tests.sandbox.conftest import ENV, Machine, shell

pytestmark = pytest.mark.anyio

_ALL, _NAMESPACES = ("namespaces", "bubblewrap", "landlock"), ("namespaces", "bubblewrap")
PYTHON = sys.executable


class Work(msgspec.Struct, frozen=True):
    """A script, and a line of what it prints when it works."""

    name: str
    script: str
    says: str
    needs: str = "bash"
    tiers: tuple[str, ...] = _ALL


_SERVER = """
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: (w.write(b'served'), w.close()), '127.0.0.1')
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    print((await reader.read()).decode(), await asyncio.to_thread(lambda: 'threaded'))
asyncio.run(main())
"""
_HTTP = """
const http = require('http');
const server = http.createServer((q, a) => a.end('node serves'));
server.listen(0, '127.0.0.1', () => http.get({port: server.address().port}, (a) => {
  a.on('data', (d) => console.log(String(d))); a.on('end', () => server.close());
}));
"""
_THREADS = """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print('threads', sum(pool.map(abs, range(100))))
"""
_LOCKS = """
import fcntl, mmap, os, sqlite3, tempfile
base = sqlite3.connect('base.db'); base.execute('pragma journal_mode=wal')
base.execute('create table if not exists t (x)'); base.execute('insert into t values (1)')
base.commit()
with tempfile.TemporaryFile() as file:
    fcntl.flock(file, fcntl.LOCK_EX); file.truncate(4096); mmap.mmap(file.fileno(), 4096)[0] = 1
print('rows', base.execute('select count(*) > 0 from t').fetchone()[0])
"""
_TEST = "def test_it(tmp_path):\n    (tmp_path / 'x').write_text('x')\n"
_FIFO = "mkfifo p && (echo through > p &) && cat p"
_JOBS = "set -m; sleep 100 & kill %1; wait %1 2>/dev/null; echo jobs $?"

WORKS = (
    Work("pipes and temporary files", "seq 100000 | sort -rn -S 64K | head -1", "100000"),
    Work("here-documents", "cat <<E\nheredoc $((1+1))\nE", "heredoc 2"),
    Work("process substitution", "diff <(echo a) <(echo a) && echo same", "same"),
    Work("fifos", _FIFO, "through"),
    Work("job control", _JOBS, "jobs 143"),
    Work("timeout and signals", "timeout -s INT 0.1 sleep 10; echo ended $?", "ended 124"),
    Work("archives", "mkdir -p t && touch t/f && tar czf t.tgz t && tar tzf t.tgz", "t/f"),
    Work("links and modes", "ln -sf file l && chmod 640 file && stat -Lc %a l", "640"),
    Work("git status", "git status --short && echo status", "status", "git"),
    Work("git diff and log", "git diff --no-index /dev/null file; echo diff $?", "diff 1", "git"),
    Work("git in a repository of its own",
         "git init -q own && cd own && git -c user.name=a -c user.email=b "
         "commit -qm one --allow-empty && git log --oneline | wc -l", "1", "git"),
    Work("databases, locks and maps", f"{PYTHON} -c \"{_LOCKS}\"", "rows 1"),
    Work("threads", f"{PYTHON} -c \"{_THREADS}\"", "threads 4950"),
    Work("a server and a thread in one program", f"{PYTHON} -c \"{_SERVER}\"", "served threaded",
         tiers=_NAMESPACES),
    Work("node serves and asks", f"node -e \"{_HTTP}\"", "node serves", "node", _NAMESPACES),
    Work("node computes", "node -e 'console.log(6*7)'", "42", "node"),
    Work("compiling", "echo 'int main(){return 7;}' > c.c && cc c.c -o c && ./c; echo got $?",
         "got 7", "cc"),
    Work("make", "printf 'all:\\n\\t@echo made\\n' > mk && make -sf mk -j2", "made", "make"),
    Work("tracing system calls", "strace -o trace true && grep -c exit_group trace", "1",
         "strace"),
    Work("tracing a child's child", "strace -f -o trace sh -c 'true & wait' && echo traced",
         "traced", "strace"),
    Work("debugging", "gdb -q -batch -ex run -ex bt --args true 2>&1 | tail -3",
         "exited normally", "gdb"),
    Work("shared memory of a program's own",
         f"{PYTHON} -c \"import multiprocessing.shared_memory as s; m = s.SharedMemory("
         "create=True, size=9); m.buf[0] = 7; print('shm', m.buf[0]); m.close(); m.unlink()\"",
         "shm 7", tiers=_NAMESPACES),
    Work("names of this machine", "getent hosts localhost | wc -l; id -u >/dev/null && echo id",
         "id", "getent"),
    Work("a terminal of its own", "script -qec 'test -t 0 && echo tty' /dev/null", "tty", "script",
         _NAMESPACES),
)  # fmt: skip


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
async def test_it_works(work: Work, cage: Sandbox, tier: str, machine: Machine) -> None:
    if tier not in work.tiers:
        pytest.skip(f"the tier {tier} says that this does not work")
    if shutil.which(work.needs, path=ENV["PATH"]) is None:
        pytest.skip(f"there is no {work.needs} here")
    folder = machine.workspace / f"work-{tier}-{WORKS.index(work)}"
    folder.mkdir()
    (folder / "file").write_text("content\n")
    _, output = await shell(cage, work.script, folder, ENV | {"HOME": str(machine.home)})

    assert work.says in output


async def test_pytest_runs_in_the_cage(cage: Sandbox, machine: Machine) -> None:
    libraries = Path(pytest.__file__).resolve().parents[1]
    (machine.workspace / "test_inside.py").write_text(_TEST)
    script = f"{PYTHON} -m pytest -q -p no:cacheprovider test_inside.py -c /dev/null"
    env = ENV | {"PYTHONPATH": str(libraries), "PYTHONDONTWRITEBYTECODE": "1"}

    _, output = await shell(cage, script, machine.workspace, env)

    assert "1 passed" in output
