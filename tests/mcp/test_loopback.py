"""What may come to the page where a browser comes back to."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.mcp.oauth.endpoints import LoginFailed
from octavo.mcp.oauth.loopback import Loopback
from octavo.mcp.oauth.words import Visited
from tests.sampling import sample

STATE = "the-state-of-this-login"


def waiting() -> Loopback:
    back = Loopback(4711)
    back.expect(STATE)
    return back


def request(back: Loopback, query: str, *, method: str = "GET", host: str = "") -> bytes:
    parts = urlsplit(back.redirect_uri)
    return f"{method} {parts.path}?{query} HTTP/1.1\r\nHost: {host or parts.netloc}".encode()


def test_the_browser_that_brings_the_state_is_taken() -> None:
    back = waiting()
    query = urlencode({"code": "c", "state": STATE, "iss": "https://a.example"})

    assert back.judge(request(back, query)) == Visited("c", STATE, "https://a.example")


def test_a_refusal_is_told_with_nothing_invisible_in_it() -> None:
    back = waiting()
    query = urlencode(
        {"error": "server_error", "error_description": "no\x1b[2Jway", "state": STATE}
    )

    refusal = back.judge(request(back, query))

    assert isinstance(refusal, LoginFailed)
    assert "server_error no⟨U+001B⟩[2Jway" in str(refusal)


@pytest.mark.parametrize(
    ("query", "more"),
    [
        (f"code=c&state={STATE}", {"method": "POST"}),
        (f"code=c&state={STATE}", {"host": "evil.example.com"}),
        (f"code=c&state={STATE}", {"host": "127.0.0.1"}),
        (f"code=c&code=d&state={STATE}", {}),
        (f"state={STATE}", {}),
        (f"code=&state={STATE}", {}),
        ("code=c&state=", {}),
        (f"code=c&state={STATE}x", {}),
        ("error=access_denied", {}),
    ],
)
def test_what_is_not_of_this_login_is_nothing(query: str, more: dict[str, str]) -> None:
    back = waiting()

    assert back.judge(request(back, query, **more)) is None


def test_nothing_is_taken_before_the_person_was_sent_there() -> None:
    back = Loopback(4711)

    assert back.judge(request(back, "code=c&state=")) is None


@settings(max_examples=sample(100_000, 300))
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_no_login_and_no_crash(noise: bytes) -> None:
    back = waiting()
    for head in (noise, request(back, "") + noise, request(back, "state=x&") + noise):
        try:
            assert back.judge(head) is None
        except ValueError:
            continue  # answered by closing the connection
