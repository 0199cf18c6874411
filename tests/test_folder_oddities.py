import stat
import sys
from pathlib import Path

import pytest
from data_fixtures import listing, write_classes
from folder_oddities import ODDITIES, Oddity
from rights import plain_rights
from store_fixtures import Notes

from torchinception.data.folder import scan
from torchinception.data.layout import natural
from torchinception.data.manifest import SPLITS
from torchinception.errors import DataError

OPENED: list[str] = []  # while a test looks on
_WATCHED: list[str] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _WATCHED and str(arguments[0]).startswith(_WATCHED[0]):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_note)


def build(place: Path, oddity: Oddity) -> Path:
    root = place / "data"
    root.mkdir()
    write_classes(root, **{str(Path(path).parent): 2 for path in oddity.base})
    oddity.do(root)
    root.mkdir(exist_ok=True)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse many of these names")
@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_folder_has_its_documented_result(tmp_path: Path, name: str, notes: Notes) -> None:
    oddity = ODDITIES[name]
    if oddity.skip:
        pytest.skip(oddity.skip)
    root = build(tmp_path, oddity)
    before = listing(tmp_path)
    OPENED.clear()
    _WATCHED.append(str(tmp_path))
    try:
        if oddity.pictures is None:
            with plain_rights(), pytest.raises(DataError) as caught:
                scan(root, notes).for_training()
            assert oddity.result in str(caught.value).replace(str(root), "data")
        else:
            folder = scan(root, notes)
            folder.for_training()
            found = {
                (split, s.path.relative_to(root).as_posix()): folder.classes[s.label]
                for split, samples in folder.splits.items()
                for s in samples
            }
            expected = {(SPLITS.get(p.split("/")[0].lower(), "all"), p): c for p, c in oddity.pictures.items()}
            assert found == expected
            assert list(folder.classes) == sorted({*oddity.pictures.values()}, key=natural)
    finally:
        _WATCHED.clear()
    assert oddity.said in "\n".join(notes.said)
    assert all(stat.S_ISREG(Path(path).stat().st_mode) for path in OPENED)
    assert listing(tmp_path) == before


def test_what_is_opened_is_noticed_here(tmp_path: Path) -> None:
    root = build(tmp_path, ODDITIES["._x.jpg"])
    OPENED.clear()
    _WATCHED.append(str(tmp_path))
    try:
        scan(root)
    finally:
        _WATCHED.clear()
    assert sorted(OPENED) == [str(root / path) for path in ODDITIES["._x.jpg"].base]


def test_a_folder_that_must_not_be_written_to_is_read(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "data", a=2, b=2)
    places = [root, *root.iterdir()]
    for place in places:
        place.chmod(0o555)
    before = listing(root)
    try:
        assert len(scan(root).for_training()["train"]) == 2
        assert listing(root) == before
    finally:
        for place in places:
            place.chmod(0o755)


def test_there_are_at_least_forty_oddities() -> None:
    assert len(ODDITIES) >= 40
