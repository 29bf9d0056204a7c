"""Who may come in at a websocket."""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octavo.rpc.websocket import Hello
from octavo.server.bearer import is_signed
from octavo.server.gate import Gate, holds_token, is_here

TOKEN = "a token of some length"
SECRET = b"s" * 40
NOW = 1_790_000_000
CLAIMS = {"exp": NOW + 60, "iss": "me", "aud": "you"}


def hello(**changes: Any) -> Hello:
    usual = Hello("/", ["127.0.0.1:4500"], [], [f"Bearer {TOKEN}"])
    return usual._replace(**changes)


def status(said: Hello) -> int:
    reply = Gate(holds_token(sha256(TOKEN.encode()).digest()))(said)
    return 101 if reply is None else reply.status


def signed(claims: object, head: object = None, secret: bytes = SECRET, by: str = "sha256") -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = {"alg": "HS256", "typ": "JWT"} if head is None else head
    text = f"{part(json.dumps(head).encode())}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), by))}"


def test_who_shows_the_token_comes_in() -> None:
    assert status(hello()) == 101
    assert status(hello(authorizations=[f"bearer  {TOKEN} "])) == 101


@pytest.mark.parametrize(
    "given",
    [
        [],
        [TOKEN],
        ["Basic x"],
        ["Bearer "],
        ["Bearer x"],
        [f"Bearer {TOKEN}x"],
        ["Bearer ü"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
    ],
)
def test_who_does_not_is_refused(given: list[str]) -> None:
    assert status(hello(authorizations=given)) == 401


@pytest.mark.parametrize("origin", ["http://localhost", "null", "", "https://evil.example"])
@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_a_browser_is_refused_even_with_the_token(origin: str, path: str) -> None:
    assert status(hello(origins=[origin], path=path)) == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?x"])
def test_whether_it_is_there_is_told_without_a_token(path: str) -> None:
    assert status(hello(authorizations=[], path=path)) == 200


@pytest.mark.parametrize("hosts", [[], ["evil.example"], ["127.0.0.1", "127.0.0.1"], [""]])
def test_a_name_that_could_have_been_made_to_lead_here_is_refused(hosts: list[str]) -> None:
    assert status(hello(hosts=hosts)) == 403
    assert status(hello(hosts=hosts, path="/healthz")) == 403


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "127.0.0.1", "[::1]:4500", "[::1]", "10.1.2.3:1"]
)
def test_an_address_is_no_name(host: str) -> None:
    assert is_here(host)


def test_a_name_that_was_given_is_one_of_ours() -> None:
    gate = Gate(holds_token(sha256(TOKEN.encode()).digest()), ["Octavo.example"])
    assert gate(hello(hosts=["octavo.example:443"])) is None
    refused = gate(hello(hosts=["evil.octavo.example"]))
    assert refused is not None
    assert refused.status == 403


@given(st.text(max_size=30))
@example("127.0.0.1.evil.example")
@example("127.0.0.1@evil.example")
@example("localhost.evil.example:80")
@example("[::1].evil.example")
@example("[::1]evil.example")
@example("evil.example:127.0.0.1")
@example("127.0.0.1:80.evil.example")
@example("::1")
@example("127.1")
@example("0x7f000001")
def test_any_other_host_is_a_name(host: str) -> None:
    assert not is_here(host) or host.strip().lower().partition(":")[0] == "localhost"


def test_a_signed_token_counts_until_it_expires() -> None:
    check = is_signed(SECRET, issuer="me", audience="you", now_s=lambda: NOW)
    assert check(signed(CLAIMS)) is None
    assert check(signed(CLAIMS | {"aud": ["x", "you"]})) is None
    assert check(signed(CLAIMS | {"exp": NOW - 29})) is None
    assert check(signed(CLAIMS | {"nbf": NOW + 29})) is None


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed(CLAIMS, secret=b"x" * 40), "signature"),
        (signed(CLAIMS, {"alg": "none"}), "HS256"),
        (signed(CLAIMS, {"alg": "none"}).rpartition(".")[0] + ".", "signature"),
        (signed(CLAIMS, {"alg": "HS512"}, by="sha512"), "signature"),
        (signed(CLAIMS, {"alg": "HS256", "crit": ["exp"]}), "HS256"),
        (signed({"iss": "me", "aud": "you"}), "no signed token"),
        (signed(CLAIMS | {"exp": NOW - 31}), "expired"),
        (signed(CLAIMS | {"exp": "1e99"}), "no signed token"),
        (signed(CLAIMS | {"nbf": NOW + 31}), "not valid yet"),
        (signed(CLAIMS | {"iss": "you"}), "issuer"),
        (signed(CLAIMS | {"aud": ["me"]}), "audience"),
        (signed([]), "no signed token"),
        ("", "signature"),
        ("a.b.c", ""),
        ("ü.ü.ü", "no signed token"),
    ],
)
def test_another_token_does_not(token: str, why: str) -> None:
    said = is_signed(SECRET, issuer="me", audience="you", now_s=lambda: NOW)(token)
    assert said is not None
    assert why in said


@given(st.text(max_size=40))
def test_no_text_is_a_signed_token_by_accident(text: str) -> None:
    assert is_signed(SECRET)(text) is not None
