"""The 23 situations that every implementation of the format is held to.

Named as elsewhere, so that they can be compared; 015 is the one with another end here, on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.tools.patch.folder import patched, planned

from octavo.sandbox import FileState
from octavo.tools.patch import PatchError

Files = Mapping[str, bytes]

DONE: dict[str, tuple[Files, str, Files]] = {
    "001_add_file": (
        {},
        "*** Begin Patch\n*** Add File: bar.md\n+This is a new file\n*** End Patch\n",
        {"bar.md": b"This is a new file\n"},
    ),
    "002_multiple_operations": (
        {"modify.txt": b"line1\nline2\n", "delete.txt": b"obsolete\n"},
        "*** Begin Patch\n*** Add File: nested/new.txt\n+created\n*** Delete File: delete.txt\n"
        "*** Update File: modify.txt\n@@\n-line2\n+changed\n*** End Patch\n",
        {"modify.txt": b"line1\nchanged\n", "nested/new.txt": b"created\n"},
    ),
    "003_multiple_chunks": (
        {"multi.txt": b"line1\nline2\nline3\nline4\n"},
        "*** Begin Patch\n*** Update File: multi.txt\n@@\n-line2\n+changed2\n@@\n-line4\n"
        "+changed4\n*** End Patch\n",
        {"multi.txt": b"line1\nchanged2\nline3\nchanged4\n"},
    ),
    "004_move_to_new_directory": (
        {"old/name.txt": b"old content\n", "old/other.txt": b"stays\n"},
        "*** Begin Patch\n*** Update File: old/name.txt\n*** Move to: renamed/dir/name.txt\n@@\n"
        "-old content\n+new content\n*** End Patch\n",
        {"renamed/dir/name.txt": b"new content\n", "old/other.txt": b"stays\n"},
    ),
    "010_move_overwrites_existing_destination": (
        {"old/name.txt": b"from\n", "new/name.txt": b"existing\n"},
        "*** Begin Patch\n*** Update File: old/name.txt\n*** Move to: new/name.txt\n@@\n-from\n"
        "+new\n*** End Patch\n",
        {"new/name.txt": b"new\n"},
    ),
    "011_add_overwrites_existing_file": (
        {"duplicate.txt": b"old content\n"},
        "*** Begin Patch\n*** Add File: duplicate.txt\n+new content\n*** End Patch\n",
        {"duplicate.txt": b"new content\n"},
    ),
    "014_update_file_appends_trailing_newline": (
        {"no_newline.txt": b"no newline at end"},
        "*** Begin Patch\n*** Update File: no_newline.txt\n@@\n-no newline at end\n+first line\n"
        "+second line\n*** End Patch\n",
        {"no_newline.txt": b"first line\nsecond line\n"},
    ),
    "016_pure_addition_update_chunk": (
        {"input.txt": b"line1\nline2\n"},
        "*** Begin Patch\n*** Update File: input.txt\n@@\n+added line 1\n+added line 2\n"
        "*** End Patch\n",
        {"input.txt": b"line1\nline2\nadded line 1\nadded line 2\n"},
    ),
    "017_whitespace_padded_hunk_header": (
        {"foo.txt": b"old\n"},
        "*** Begin Patch\n  *** Update File: foo.txt\n@@\n-old\n+new\n*** End Patch\n",
        {"foo.txt": b"new\n"},
    ),
    "018_whitespace_padded_patch_markers": (
        {"file.txt": b"one\n"},
        " *** Begin Patch\n*** Update File: file.txt\n@@\n-one\n+two\n*** End Patch \n",
        {"file.txt": b"two\n"},
    ),
    "019_unicode_simple": (
        {"foo.txt": "naïve café\nline2 ✅\n".encode()},
        "*** Begin Patch\n*** Update File: foo.txt\n@@\n-naïve café\n+naïve café 🚀\n line2 ✅\n"
        "*** End Patch\n",
        {"foo.txt": "naïve café 🚀\nline2 ✅\n".encode()},
    ),
    "020_delete_file_success": (
        {"keep.txt": b"keep\n", "obsolete.txt": b"gone\n"},
        "*** Begin Patch\n*** Delete File: obsolete.txt\n*** End Patch\n",
        {"keep.txt": b"keep\n"},
    ),
    "020_whitespace_padded_patch_marker_lines": (
        {"file.txt": b"one\n"},
        "*** Begin Patch  \n*** Update File: file.txt\n@@\n-one\n+two\n  *** End Patch\n",
        {"file.txt": b"two\n"},
    ),
    "021_update_file_deletion_only": (
        {"lines.txt": b"line1\nline2\nline3\n"},
        "*** Begin Patch\n*** Update File: lines.txt\n@@\n line1\n-line2\n line3\n*** End Patch\n",
        {"lines.txt": b"line1\nline3\n"},
    ),
    "022_update_file_end_of_file_marker": (
        {"tail.txt": b"first\nsecond\nfirst\nsecond\n"},
        "*** Begin Patch\n*** Update File: tail.txt\n@@\n first\n-second\n+second updated\n"
        "*** End of File\n*** End Patch\n",
        {"tail.txt": b"first\nsecond\nfirst\nsecond updated\n"},
    ),
}

REFUSED: dict[str, tuple[Mapping[str, bytes | FileState], str, str]] = {
    "005_rejects_empty_patch": (
        {"foo.txt": b"stable\n"},
        "*** Begin Patch\n*** End Patch\n",
        "The patch is empty",
    ),
    "006_rejects_missing_context": (
        {"modify.txt": b"line1\nline2\n"},
        "*** Begin Patch\n*** Update File: modify.txt\n@@\n-missing\n+changed\n*** End Patch\n",
        'modify.txt, chunk 1 of 1 (patch line 4, "-missing"): its lines are not in the file',
    ),
    "007_rejects_missing_file_delete": (
        {},
        "*** Begin Patch\n*** Delete File: missing.txt\n*** End Patch\n",
        "Cannot delete missing.txt: there is no such file",
    ),
    "008_rejects_empty_update_hunk": (
        {"foo.txt": b"stable\n"},
        "*** Begin Patch\n*** Update File: foo.txt\n*** End Patch\n",
        "Patch line 2: the update of foo.txt changes nothing",
    ),
    "009_requires_existing_file_for_update": (
        {},
        "*** Begin Patch\n*** Update File: missing.txt\n@@\n-old\n+new\n*** End Patch\n",
        "Cannot update missing.txt: there is no such file",
    ),
    "012_delete_directory_fails": (
        {"dir": FileState("directory")},
        "*** Begin Patch\n*** Delete File: dir\n*** End Patch\n",
        "Cannot delete dir: it is a directory",
    ),
    "013_rejects_invalid_hunk_header": (
        {"foo.txt": b"stable\n"},
        "*** Begin Patch\n*** Frobnicate File: foo\n*** End Patch\n",
        'Patch line 2: "*** Frobnicate File: foo" starts no section',
    ),
    "015_failure_after_partial_success": (
        {},
        "*** Begin Patch\n*** Add File: created.txt\n+hello\n*** Update File: missing.txt\n@@\n"
        "-old\n+new\n*** End Patch\n",
        "No file was changed",
    ),
}


def test_there_are_23_scenarios() -> None:
    assert len(DONE) + len(REFUSED) == 23


@pytest.mark.parametrize("name", DONE)
def test_a_scenario_ends_as_it_should(name: str) -> None:
    before, patch, after = DONE[name]
    assert patched(before, patch) == after


@pytest.mark.parametrize("name", REFUSED)
def test_a_scenario_is_refused_as_it_should(name: str) -> None:
    before, patch, message = REFUSED[name]
    with pytest.raises(PatchError) as caught:
        planned(before, patch)
    assert message in str(caught.value)
