"""The names of unfinished objects."""

from pathlib import Path

from flux_tui.core.ids import raw_cid
from flux_tui.store.disk.part_names import MAX_NAME_BYTES, PART, part_path

ROOT = raw_cid(b"x" * 100)


def test_two_homes_have_two_names_in_one_folder(tmp_path: Path) -> None:
    names = {part_path(tmp_path / home, tmp_path / "film", ROOT) for home in ("a", "b")}
    assert len(names) == 2
    assert all(one.parent == tmp_path and one.name.startswith(".film.") for one in names)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert part_path(tmp_path / "link", tmp_path / "film", ROOT) in names, "the same home by another path"


def test_a_long_name_is_shortened(tmp_path: Path) -> None:
    name = part_path(tmp_path, tmp_path / ("x" * 250), ROOT).name
    assert name.endswith(PART)
    assert ROOT in name
    assert len(name) < MAX_NAME_BYTES
