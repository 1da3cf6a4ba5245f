import io
from pathlib import Path

import pytest

from s2dash.dashboard.files import keep_upload, locate, person_path
from s2dash.errors import OutputError, S2DashError


class Upload(io.BytesIO):
    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


def test_paths_are_made_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert person_path("  ~/scene.tif ") == str(tmp_path / "scene.tif")
    assert person_path("scene.tif") == str(tmp_path / "scene.tif")
    assert person_path("/data/a b.tif") == "/data/a b.tif"
    assert person_path("  ") == ""


def test_a_path_with_unseen_characters_or_an_unknown_home_is_refused():
    for text in ("a\0b", "a\u202eb", "a\nb"):
        with pytest.raises(S2DashError, match="cannot be seen"):
            person_path(text)
    with pytest.raises(S2DashError, match="home folder"):
        person_path("~nobody-of-this-name-lives-here/scene.tif")


def test_an_upload_is_kept_once_and_never_replaces_another(tmp_path):
    first = locate(Upload("../scene.tif", b"one"), uploads=tmp_path)
    again = locate(Upload("../scene.tif", b"one"), uploads=tmp_path)
    other = locate(Upload("../scene.tif", b"two"), uploads=tmp_path)
    assert first == again != other
    assert Path(first).read_bytes() == b"one"
    assert Path(other).read_bytes() == b"two"
    assert tmp_path in Path(first).parents
    assert sorted(path.name for path in tmp_path.rglob("*.tif")) == ["scene.tif", "scene.tif"]
    assert locate(None, uploads=tmp_path) == ""


def test_an_upload_that_cannot_be_kept_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be kept"):
        keep_upload(tmp_path / "file", "scene.tif", b"one")
