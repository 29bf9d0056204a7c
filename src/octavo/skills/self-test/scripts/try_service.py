"""Start a service, wait until it answers, ask it what a user would, and stop it: one command.

    python3 try_service.py --check 'GET / -> 200 Welcome' [--check …] -- COMMAND {port}

`{port}` in the command and in checks is a free port, also in the variable PORT. A check is

    METHOD PATH [BODY] -> STATUS [TEXT]      TEXT has to be in the answer; /re/ is a pattern
    GET /items/7 -> 404
    POST /items {"name": "x"} -> 201 "id":

Checks run in order and all of them, so that one failure does not hide the others. Cookies are kept
from one to the next. Prints each request and answer, and what the service printed. Only this
machine is asked. Everything that was started is stopped, also after an error.

Exit: 0 all checks held · 1 one did not · 2 wrong arguments · 3 the service did not come up, or
died."""

from __future__ import annotations

import argparse
import http.client
import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from typing import IO, Any, NamedTuple

BODY_BYTES = 2_000_000
SHOWN_CHARS = 1_500
LOG_CHARS = 6_000
CHECK = re.compile(
    r"(?P<method>[A-Z]+) +(?P<path>/\S*)(?: +(?P<body>.+?))?"
    r" *-> *(?P<status>\d{3}|\dxx)(?: +(?P<text>.+))?",
    re.DOTALL,
)
ODD = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


class Check(NamedTuple):
    """One request and what its answer has to be."""

    method: str
    path: str
    body: str | None
    status: str
    text: str | None

    def problem(self, status: int, answer: str) -> str:
        """Return what is wrong with an answer; empty if nothing is."""
        wanted = self.status.replace("x", r"\d")
        if not re.fullmatch(wanted, str(status)):
            return f"status {status}, not {self.status}"
        if self.text is None:
            return ""
        if len(self.text) > 2 and self.text[0] == self.text[-1] == "/":
            return (
                "" if re.search(self.text[1:-1], answer) else f"nothing in it matches {self.text}"
            )
        return "" if self.text in answer else f"{self.text!r} is not in it"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Shows a redirection as what it is."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Down(Exception):
    """The service is not there; the message says how it ended."""


def read_check(text: str) -> Check:
    match = CHECK.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not METHOD PATH [BODY] -> STATUS [TEXT]")
    return Check(match["method"], match["path"], match["body"], match["status"], match["text"])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Service:
    """A started service with all its children."""

    def __init__(self, command: list[str], port: int, log: IO[bytes]) -> None:
        self.port = port
        self.log = log
        env = {**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        try:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Down(f"{command[0]} cannot be started: {error.strerror}") from None

    def until_ready(self, path: str, deadline_s: float) -> float:
        """Wait until it answers anything at all; return how long that took, in seconds."""
        began = time.monotonic()
        while time.monotonic() - began < deadline_s:
            if (code := self.process.poll()) is not None:
                raise Down(f"The service ended with exit code {code} before it answered.")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", path)
                connection.getresponse().read(1)
                connection.close()
                return time.monotonic() - began
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise Down(f"The service did not answer on port {self.port} within {deadline_s:g} s.")

    def exit_code(self, wait_s: float) -> int | None:
        """Return its exit code, None if it still runs after `wait_s`."""
        try:
            return self.process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, within_s: float) -> str:
        """Stop it and what it started; return how it ended."""
        code = self.process.poll()
        if code is not None:
            said = f"had ended by itself with exit code {code}"
        else:
            self._signal(signal.SIGTERM)
            code = self.exit_code(within_s)
            said = f"ended with {code} when asked to"
            if code is None:
                said = f"did not end within {within_s:g} s of being asked to, and was killed"
        self._signal(signal.SIGKILL)
        self.process.wait()
        return said

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


def ask(
    opener: urllib.request.OpenerDirector, port: int, check: Check, timeout_s: float
) -> tuple[int, str, float]:
    """Return status, body and milliseconds of an answer. Raises Down where there is none."""
    data = None if check.body is None else check.body.encode()
    url = f"http://127.0.0.1:{port}{check.path}"
    request = urllib.request.Request(url, data, method=check.method)
    if data is not None:
        is_json = check.body is not None and check.body[:1] in "{["
        kind = "application/json" if is_json else "application/x-www-form-urlencoded"
        request.add_header("Content-Type", kind)
    began = time.monotonic()
    try:
        with opener.open(request, timeout=timeout_s) as reply:
            status, body = reply.status, reply.read(BODY_BYTES)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Down(f"no answer: {getattr(error, 'reason', error)}") from None
    return status, body.decode("utf-8", "replace"), (time.monotonic() - began) * 1000


def shortened(text: str, limit: int) -> str:
    text = ODD.sub("", text)
    return (
        text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit} more characters)"
    )


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Start a service, check its answers, stop it.")
    parser.add_argument("--check", action="append", required=True, type=read_check)
    parser.add_argument("--ready", default="/", help="what is asked until it answers")
    parser.add_argument("--ready-s", type=float, default=30.0, help="how long to wait for that")
    parser.add_argument("--timeout-s", type=float, default=10.0, help="for one answer")
    parser.add_argument("--stop-s", type=float, default=5.0, help="how long it may take to stop")
    parser.add_argument("--port", type=int, help="if the service cannot be told one")
    parser.add_argument("command", nargs="+", help="after --")
    options = parser.parse_args(argv)
    port = options.port or free_port()
    command = [word.replace("{port}", str(port)) for word in options.command]
    service = None
    failed = 0
    with tempfile.TemporaryFile() as log:
        try:
            print(f"$ {' '.join(command)}")
            service = Service(command, port, log)
            print(f"answers after {service.until_ready(options.ready, options.ready_s):.2f} s\n")
            jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect, jar)
            for check in options.check:
                failed += not tried(opener, service, check, options.timeout_s)
            code = 1 if failed else 0
            print(f"\n{len(options.check) - failed} of {len(options.check)} checks held.")
        except Down as down:
            print(f"FAILED {down}")
            code = 3
        finally:
            if service is not None:
                print(f"The service {service.stop(options.stop_s)}.")
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - LOG_CHARS))
        said = log.read().decode("utf-8", "replace")
        print(f"\nThe end of what it printed:\n{shortened(said, LOG_CHARS) or '(nothing)'}")
    return code


def tried(
    opener: urllib.request.OpenerDirector, service: Service, check: Check, timeout_s: float
) -> bool:
    """Do one check and print it; return whether it held."""
    path = check.path.replace("{port}", str(service.port))
    check = check._replace(path=path)
    shown = f"{check.method} {path}{'' if check.body is None else ' ' + check.body[:300]}"
    try:
        status, answer, took_ms = ask(opener, service.port, check, timeout_s)
        problem = check.problem(status, answer)
    except Down as down:
        code = service.exit_code(0.5)
        print(
            f"FAILED {shown}: {down}{'' if code is None else f' (it ended with exit code {code})'}"
        )
        return False
    print(f"{'FAILED' if problem else 'ok    '} {shown} -> {status} in {took_ms:.0f} ms {problem}")
    quoted = shortened(answer, SHOWN_CHARS if problem else 300).strip()
    print("\n".join(f"       | {line}" for line in quoted.splitlines()))
    return not problem


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
