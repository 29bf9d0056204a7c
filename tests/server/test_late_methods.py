"""Methods whose names are told before what answers them is loaded."""

from __future__ import annotations

from importlib import import_module

import pytest

from octavo.server.methods import late


@pytest.mark.parametrize("module", late.NAMES)
def test_what_answers_a_method_has_exactly_the_names_that_are_told(module: str) -> None:
    assert set(import_module(module).HANDLERS) == set(late.NAMES[module])
