"""Patterns: what they cover, what they refuse, and that nothing else is ever allowed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octavo.protocol.errors import ConfigError
from octavo.sandbox.net import Blocked
from octavo.sandbox.net.addresses import kind_of
from octavo.sandbox.net.hosts import NotAHost, canonical_host
from octavo.sandbox.net.rules import Allowed, HostRules


def verdict(rules: HostRules, host: str, port: int = 443) -> str:
    """Return "allowed", or the reason why not."""
    found = rules.check(host, port)
    return found.reason if isinstance(found, Blocked) else "allowed"


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("Example.COM.", "example.com", True),
        ("example.com", "www.example.com", False),
        ("example.com", "example.com.evil.test", False),
        ("example.com", "notexample.com", False),
        ("example.com", "example.co", False),
        ("example.com", "com", False),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "notexample.com", False),
        ("*.example.com", "example.com.evil.test", False),
        ("**.example.com", "example.com", True),
        ("**.example.com", "a.b.example.com", True),
        ("**.example.com", "aexample.com", False),
        ("example.com:443", "example.com", True),
        ("example.com:80", "example.com", False),
        ("*.example.com:443", "www.example.com", True),
        ("*.example.com:80", "www.example.com", False),
        ("*", "example.com", True),
        ("*:80", "example.com", False),
        ("*", "93.184.215.14", True),
        ("93.184.215.14", "93.184.215.14", True),
        ("93.184.215.14", "93.184.215.1", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("BÜCHER.example", "bücher.example", True),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("example.com", "ｅxample。com", True),
        ("example.com", "ехample.com", False),
        ("2606:4700::1111", "[2606:4700:0:0::1111]", True),
        ("[2606:4700::1111]:443", "2606:4700::1111", True),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, host: str, expected: bool) -> None:
    assert (verdict(HostRules([pattern]), host) == "allowed") is expected


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "it is empty"),
        (".", "an empty label"),
        ("a..b", "an empty label"),
        (".example.com", "an empty label"),
        ("example.com..", "an empty label"),
        ("*.", "it is empty"),
        ("**.", "it is empty"),
        ("*.:443", "it is empty"),
        ("*..com", "an empty label"),
        ("ex*mple.com", "a wildcard can only be the whole first part"),
        ("*example.com", "a wildcard can only be the whole first part"),
        ("www.*.com", "a wildcard can only be the whole first part"),
        ("*.*.com", "a wildcard can only be the whole first part"),
        ("***.com", "a wildcard can only be the whole first part"),
        ("example.*", "a wildcard can only be the whole first part"),
        ("**", "a wildcard can only be the whole first part"),
        ("example.com:*", '"*" is not a port'),
        ("example.com:0", '"0" is not a port'),
        ("example.com:65536", '"65536" is not a port'),
        ("example.com:443:1", "not an IPv6 address"),
        ("example.com:", '"" is not a port'),
        ("https://example.com", "only the host is meant"),
        ("example.com/path", "only the host is meant"),
        ("user@example.com", "only the host is meant"),
        ("exam ple.com", "a space or a control character"),
        ("example.com\n", "a space or a control character"),
        ("example\0.com", "a space or a control character"),
        ("-example.com", "is no label"),
        ("a" * 64 + ".com", "is no label"),
        ("a." * 130 + "com", "longer than 253"),
        ("127.1", "four decimal numbers"),
        ("0x7f.0.0.1", "four decimal numbers"),
        ("0x7f000001", "four decimal numbers"),
        ("2130706433", "four decimal numbers"),
        ("0177.0.0.1", "four decimal numbers"),
        ("127.0.0.256", "four decimal numbers"),
        ("10.0.0.0/8", "only the host is meant"),
        ("fe80::1%eth0", "zone id"),
        ("[fe80::1%eth0]", "zone id"),
        ("::g", "not an IPv6 address"),
        ("[::1", "not an IPv6 address"),
        ("*.127.0.0.1", "nothing below an address"),
        ("\u202eexample.com", "internationalised"),
        ("a\u2044b.example", "internationalised"),
    ],
)
def test_an_odd_pattern_is_refused_with_the_reason(pattern: str, why: str) -> None:
    for lists in (([pattern], []), ([], [pattern])):
        with pytest.raises(ConfigError) as refused:
            HostRules(*lists)
        text = str(refused.value)
        assert why in text
        assert text.isprintable()
        assert text.isascii() or "…" in text


def test_a_star_alone_is_only_for_the_allowed() -> None:
    with pytest.raises(ConfigError, match="only possible in the list of allowed"):
        HostRules([], ["*"])
    with pytest.raises(ConfigError):
        HostRules([], [], ["*"])
    with pytest.raises(ConfigError, match="named exactly"):
        HostRules([], [], ["*.corp.test"])


def test_denied_beats_allowed() -> None:
    rules = HostRules(["*", "a.example.com"], ["*.example.com", "b.test:22"], ["c.example.com"])

    assert verdict(rules, "a.example.com") == "denied"
    assert verdict(rules, "c.example.com") == "denied"
    assert verdict(rules, "example.com") == "allowed"
    assert verdict(rules, "b.test", 22) == "denied"
    assert verdict(rules, "b.test", 443) == "allowed"


def test_a_name_is_known_if_one_of_its_ports_is_allowed() -> None:
    rules = HostRules(["a.test:443", "b.test"], ["b.test:22", "c.test"])

    assert [verdict(rules, name, 0) for name in ("a.test", "b.test", "c.test", "d.test")] == [
        "allowed",
        "allowed",
        "denied",
        "not_allowed",
    ]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "[::1]",
        "::ffff:10.0.0.1",
        "169.254.169.254",
        "localhost",
        "x.localhost",
    ],
)
def test_something_local_is_reached_only_if_it_is_listed_literally(host: str) -> None:
    assert verdict(HostRules(["*"]), host) == "not_allowed_local"
    assert verdict(HostRules(["**.localhost"]), host) == "not_allowed_local"
    assert verdict(HostRules([host]), host) == "allowed"
    assert verdict(HostRules([], [], [host]), host) == "allowed"
    assert verdict(HostRules([host], [host]), host) == "denied"


KINDS = {
    "public": ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"],
    "private": [
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("100.127.255.255", "198.18.0.1", "fc00::1", "fdff::1", "fec0::1", "::ffff:10.0.0.1"),
    ],
    "link-local": ["169.254.169.254", "169.254.0.1", "fe80::1", "::ffff:169.254.169.254"],
    "metadata": ["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"],
    "reserved": [
        *("0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("192.0.0.1", "203.0.113.1", "::", "ff02::1", "2001:db8::1", "2001::1", "4000::1"),
        *("2002:7f00:1::", "2002:808:808::1", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "::7f00:1"),
    ],
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in KINDS.items() for text in texts]
)
def test_an_address_is_what_it_leads_to(text: str, kind: str) -> None:
    assert kind_of(ipaddress.ip_address(text)) == kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "public"])
def test_a_name_leads_to_no_such_address_however_it_is_listed(kind: str) -> None:
    listed = kind in ("loopback", "private")
    for text in KINDS[kind]:
        address = ipaddress.ip_address(text)
        rules = HostRules(["*", "a.test"], [], ["b.test"])
        for name, may in (("a.test", False), ("b.test", listed), ("c.test", False)):
            allowed = rules.check(name, 443)
            assert isinstance(allowed, Allowed)
            assert (rules.check_address(allowed, address) is None) is may, (name, text)


def test_a_denied_address_is_not_dialled_for_an_allowed_name() -> None:
    rules = HostRules(["a.test"], ["93.184.215.14"])
    allowed = rules.check("a.test", 443)
    assert isinstance(allowed, Allowed)

    refused = rules.check_address(allowed, ipaddress.ip_address("93.184.215.14"))

    assert refused is not None
    assert refused.reason == "denied"


LABELS = st.sampled_from(["a", "b", "com", "example", "evil", "xn--a", "1a", "a-b", "_x"])
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
PATTERNS = st.tuples(
    st.sampled_from(["", "*.", "**."]), NAMES, st.sampled_from(["", ":443", ":80"])
)


def covers(pattern: tuple[str, str, str], host: str, port: int) -> bool:
    """The same question answered as slowly and plainly as can be."""
    stars, base, ends = pattern
    if ends and int(ends[1:]) != port:
        return False
    wanted, labels = base.split("."), host.split(".")
    if len(labels) < len(wanted) or labels[len(labels) - len(wanted) :] != wanted:
        return False
    more = len(labels) - len(wanted)
    return {"": more == 0, "*.": more > 0, "**.": True}[stars]


@given(
    st.lists(PATTERNS, max_size=4),
    st.lists(PATTERNS, max_size=2),
    NAMES,
    st.sampled_from([80, 443, 8080]),
)
def test_exactly_what_is_listed_is_allowed(
    allow: list[tuple[str, str, str]], deny: list[tuple[str, str, str]], host: str, port: int
) -> None:
    rules = HostRules(["".join(p) for p in allow], ["".join(p) for p in deny])

    found = isinstance(rules.check(host, port), Allowed)

    listed = any(covers(pattern, host, port) for pattern in allow)
    assert found is (listed and not any(covers(pattern, host, port) for pattern in deny))


@given(st.text(max_size=60) | st.text("exampl.com:[]%0x127*ＡaüÜß。\0 \n", max_size=30))
@example("example.com\u3002evil")
@example("evil\u2024example.com")
@example("example.com\u200b")
def test_no_text_is_taken_for_a_host_that_it_is_not(text: str) -> None:
    rules = HostRules(["example.com", "*.example.com"])

    found = rules.check(text, 443)

    if isinstance(found, Allowed):
        name = canonical_host(text)
        assert found.host == name
        assert name.split(".")[-2:] == ["example", "com"]
        assert name.isascii()
    else:
        assert str(found).isprintable()


@given(st.text(max_size=40))
def test_a_canonical_host_is_its_own_canonical_form(text: str) -> None:
    try:
        host = canonical_host(text)
    except NotAHost:
        return
    assert canonical_host(host) == host
    assert canonical_host(host.upper()) == host
