"""Settings files, edited: they say what is wanted, and a person's words around it stay."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.config.change import ChangeRefused, change, version_of
from octavo.config.edit import Edit, edited, rewritten
from octavo.config.write import encode_value
from octavo.protocol.errors import ConfigError
from tests.config.test_laws import FLOATS, KEYS, NAMES, SCALARS, TABLES, TEXT, VALUES
from tests.sampling import sample

LISTS_OF_TABLES = st.lists(st.dictionaries(NAMES, SCALARS, max_size=2), min_size=1, max_size=2)


def written(table: dict[str, Any], at: tuple[str, ...] = ()) -> str:
    """Write a table as a person might: with comments, tables under headers, inline or dotted."""
    from octavo.config.keys import dotted

    lines = [f"# about {number}" for number in range(len(table) > 1)]
    inner = ""
    for number, (name, value) in enumerate(table.items()):
        if isinstance(value, dict) and value and number % 3 == 2:
            lines += [f"{dotted((name, n))} = {encode_value(v)} # dotted" for n, v in value.items()]
        elif isinstance(value, dict) and number % 3:
            inner += f"\n# table\n[{dotted((*at, name))}] # header\n{written(value, (*at, name))}"
        else:
            lines.append(f"{dotted((name,))}  =  {encode_value(value)}   # why")
    return "\n".join([*lines, ""]) + inner


@settings(max_examples=sample(3000, 100))
@given(TABLES, KEYS, st.one_of(st.none(), VALUES, TABLES, LISTS_OF_TABLES), st.booleans())
def test_an_edited_text_says_what_was_wanted_or_is_refused(
    table: dict[str, Any], key: tuple[str, ...], value: object, upsert: bool
) -> None:
    text = written(table)
    assert tomllib.loads(text) == table
    wanted = edited(table, Edit(key, value, upsert))
    try:
        changed = rewritten(text, wanted)
    except ConfigError:
        return
    assert tomllib.loads(changed) == wanted


@settings(max_examples=sample(2000, 100))
@given(TABLES, st.lists(st.tuples(TEXT, st.one_of(st.booleans(), FLOATS, TEXT)), max_size=3))
def test_what_is_added_and_taken_out_again_leaves_the_text_as_it_was(
    table: dict[str, Any], added: list[tuple[str, object]]
) -> None:
    text = written(table)
    changed = text
    keys = [(f"new {name}",) for name, _ in added]
    for key, (_, value) in zip(keys, added, strict=True):
        changed = rewritten(changed, edited(tomllib.loads(changed), Edit(key, value)))
    assert [line for line in text.splitlines() if line not in changed.splitlines()] == []
    for key in keys:
        changed = rewritten(changed, edited(tomllib.loads(changed), Edit(key, None)))
    assert changed.strip("\n") == text.strip("\n")


PERSONS = """\
# My settings.
model = "a"   # because

[tui] # how it looks
# bells
notifications = true

# Where I work.
[projects."/srv/a.b"]
trust_level = "trusted"

[[skills.config]]
name = "one"
enabled = false # not now

[model_providers.acme]
base_url = 'https://acme.example/v1' # theirs
query_params = { v = "1" } # inline
"""


@pytest.mark.parametrize(
    ("edit", "old", "new"),
    [
        (Edit(("model",), "b"), 'model = "a"', 'model = "b"'),
        (Edit(("model",), None), 'model = "a"   # because\n', ""),
        (Edit(("tui", "notifications"), False), "notifications = true", "notifications = false"),
        (Edit(("tui", "notifications"), None), "notifications = true\n", ""),
        (
            Edit(("tui",), {"notification_method": "bel"}, upsert=True),
            "notifications = true\n",
            'notifications = true\nnotification_method = "bel"\n',
        ),
        (
            Edit(("tui",), {"notification_method": "bel"}),
            "notifications = true\n",
            'notification_method = "bel"\n',
        ),
        (Edit(("tui",), None), PERSONS[PERSONS.index("[tui]") : PERSONS.index("# Where")], ""),
        (
            Edit(("projects", "/srv/c"), {"trust_level": "untrusted"}),
            'theirs\nquery_params = { v = "1" } # inline\n',
            'theirs\nquery_params = { v = "1" } # inline\n'
            '\n[projects."/srv/c"]\ntrust_level = "untrusted"\n',
        ),
        (
            Edit(("skills", "config"), [{"name": "two"}]),
            '[[skills.config]]\nname = "one"\nenabled = false # not now\n',
            "",
        ),
        (
            Edit(("model_providers", "acme", "query_params", "w"), "2"),
            '{ v = "1" }',
            '{ v = "1", w = "2" }',
        ),
    ],
)
def test_only_what_is_meant_is_touched(edit: Edit, old: str, new: str) -> None:
    wanted = edited(tomllib.loads(PERSONS), edit)
    changed = rewritten(PERSONS, wanted)

    assert tomllib.loads(changed) == wanted
    if edit.key == ("skills", "config"):  # in another place, too
        changed = re.sub(r'\n*\[skills\]\nconfig = \[\{ name = "two" \}\]\n', "\n", changed)
        assert changed.split() == PERSONS.replace(old, new).split()
    else:
        assert changed == PERSONS.replace(old, new)


def test_a_table_without_a_header_gets_more_in_its_own_way() -> None:
    text = "# mine\ntui.notifications = true # ring\n\n[budget]\nturn.max_tokens = 5 # few\n"
    first = edited(tomllib.loads(text), Edit(("tui", "notification_method"), "bel"))
    wanted = edited(first, Edit(("budget", "turn", "max_time_s"), 2.5))

    assert rewritten(text, wanted) == (
        '# mine\ntui.notifications = true # ring\ntui.notification_method = "bel"\n'
        "\n[budget]\nturn.max_tokens = 5 # few\nturn.max_time_s = 2.5\n"
    )


@pytest.mark.parametrize(
    ("edit", "kind", "said"),
    [
        (Edit(("sandbox_mode",), "bogus"), "configValidationError", "sandbox_mode: expected one"),
        (Edit(("modle",), "x"), "configSchemaUnknownKey", "did you mean model?"),
        (
            Edit(("model_providers", "x", "base_uri"), "x"),
            "configSchemaUnknownKey",
            "model_providers.x.base_uri",
        ),
        (
            Edit(("model_providers", "x"), {"base_uri": "x"}),
            "configSchemaUnknownKey",
            "model_providers.x.base_uri",
        ),
        (Edit(("step_limit",), 0), "configValidationError", "step_limit"),
        (Edit(("step_limit",), [None]), "configValidationError", "step_limit"),
        (Edit(("model",), "\ud800"), "configValidationError", "not UTF-8"),
        (
            Edit(("model_providers", "x", "experimental_bearer_token"), "********"),
            "configValidationError",
            "stands for a secret",
        ),
    ],
)
def test_what_would_not_load_is_refused_with_its_key(
    edit: Edit, kind: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(PERSONS)
    with pytest.raises(ChangeRefused) as refused:
        change(file, [Edit(("model",), "b"), edit], env={"HOME": str(tmp_path)})

    assert refused.value.kind == kind
    assert said in str(refused.value)
    assert file.read_text() == PERSONS


def test_a_secret_that_was_not_shown_stays_when_its_table_is_written_back(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[model_providers.x]\nexperimental_bearer_token = "hunter2"\n')
    shown = {"experimental_bearer_token": "********", "name": "X"}

    change(file, [Edit(("model_providers", "x"), shown)], env={"HOME": str(tmp_path)})

    kept = tomllib.loads(file.read_text())["model_providers"]["x"]
    assert kept == {"experimental_bearer_token": "hunter2", "name": "X"}


def test_a_link_is_written_through_and_what_is_written_is_private(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "octavo.toml"
    real.parent.mkdir()
    real.write_text(PERSONS)
    home = tmp_path / "home"
    home.mkdir()
    file = home / "config.toml"
    file.symlink_to(real)

    version = change(file, [Edit(("model",), "b")], env={"HOME": str(tmp_path)})

    assert file.is_symlink()
    assert version == version_of(real.read_bytes())
    assert real.read_text() == PERSONS.replace('"a"', '"b"')
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    env = {"HOME": str(tmp_path)}
    first = change(file, [Edit(("model",), "a")], env=env, expected_version=version_of(b""))
    file.write_text('model = "mine"\n')
    with pytest.raises(ChangeRefused) as refused:
        change(file, [Edit(("model",), "b")], env=env, expected_version=first)

    assert refused.value.kind == "configVersionConflict"
    assert file.read_text() == 'model = "mine"\n'
