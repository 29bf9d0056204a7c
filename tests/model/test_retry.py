"""How long to wait, and when to give up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.model import Provider
from octavo.model.retry import LONGEST_WAIT_S, Patience
from octavo.protocol.errors import ModelBusy, ModelError, StreamCut

BUSY = ModelBusy("X is overloaded.", info="serverOverloaded", status=503)
CUT = StreamCut("The answer broke off.")


def _patience(requests: int = 4, streams: int = 5, random: float = 0.5) -> Patience:
    provider = Provider(
        "x", "X", "http://127.0.0.1:1", request_max_retries=requests, stream_max_retries=streams
    )
    return Patience(provider, random=lambda: random)


def _waits(patience: Patience, error: ModelBusy) -> list[float]:
    waits = []
    while (wait_s := patience.next_wait_s(error)) is not None:
        waits.append(round(wait_s, 6))
    return waits


def test_each_wait_is_twice_the_one_before_until_the_provider_is_given_up() -> None:
    assert _waits(_patience(), BUSY) == [0.2, 0.4, 0.8, 1.6]
    assert _waits(_patience(), CUT) == [0.2, 0.4, 0.8, 1.6, 3.2]


def test_a_wait_varies_by_a_tenth_both_ways() -> None:
    assert _patience(random=0.0).next_wait_s(BUSY) == pytest.approx(0.18)
    assert _patience(random=1.0).next_wait_s(BUSY) == pytest.approx(0.22)


def test_no_wait_of_ours_is_longer_than_half_a_minute() -> None:
    waits = _waits(_patience(streams=20), CUT)

    assert waits[-1] == LONGEST_WAIT_S
    assert len(waits) == 20


def test_refusals_and_cuts_draw_on_one_budget() -> None:
    patience = _patience()
    for error in (CUT, BUSY, CUT, BUSY):
        assert patience.next_wait_s(error) is not None

    assert patience.next_wait_s(BUSY) is None
    assert patience.next_wait_s(CUT) is not None, "cuts have one more"
    assert patience.next_wait_s(CUT) is None


def test_a_completed_response_restores_the_budget() -> None:
    patience = _patience()
    _waits(patience, BUSY)

    patience.reset()

    assert _waits(patience, BUSY) == [0.2, 0.4, 0.8, 1.6]


@given(st.floats(0, 300), st.floats(0, 1, exclude_max=True))
def test_the_provider_is_never_asked_before_the_moment_it_named(
    asked_s: float, random: float
) -> None:
    wait_s = _patience(random=random).next_wait_s(ModelBusy("Busy.", retry_after_s=asked_s))

    assert wait_s is not None
    assert asked_s <= wait_s <= asked_s * 1.1


def test_a_provider_that_asks_for_more_than_five_minutes_is_given_up_at_once() -> None:
    patience = _patience()
    error = ModelBusy("X asks us to slow down.", retry_after_s=3000, info="rateLimitExceeded")

    assert patience.next_wait_s(error) is None
    assert str(patience.give_up(error)) == (
        "X asks us to slow down. It asks to wait 50 minutes, which is too long to wait for here. "
        "Ask again later, or choose another provider."
    )


def test_giving_up_says_how_often_it_was_tried_and_keeps_the_reason() -> None:
    patience = _patience(requests=2)
    _waits(patience, BUSY)

    error = patience.give_up(BUSY)

    assert type(error) is ModelError
    assert (error.info, error.status) == ("serverOverloaded", 503)
    assert "X is overloaded. Gave up after 3 attempts." in str(error)


def test_no_retries_at_all_can_be_asked_for() -> None:
    patience = _patience(requests=0)

    assert patience.next_wait_s(BUSY) is None
    assert "not retried" in str(patience.give_up(BUSY))
