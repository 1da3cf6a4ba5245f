"""Result folders: all or nothing, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from s2dash.errors import Cancelled, OutputBusyError, OutputError
from s2dash.export.folder import LOCK_NAME, STAGING_PREFIX, check_space, output_folder, write_json
from s2dash.export.json_values import json_value

ROOT = Path(__file__).resolve().parents[2]
EARLIER = {"a.txt": b"earlier a", "b.txt": b"earlier b", "sub/c.txt": b"earlier c"}
NEW = {"a.txt": b"new a", "b.txt": b"new b", "sub/c.txt": b"new c", "more/d/e.txt": b"new e"}


def fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def content(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "Результати 2021"
    fill(folder, EARLIER)
    return folder


def child(code: str, *args: object) -> subprocess.Popen[str]:
    """A Python of its own, with the package importable."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    said, complained = process.communicate(timeout=60)
    return process.returncode, said, complained


# ---- success


def test_all_files_appear_and_nothing_hidden_stays(out: Path) -> None:
    with output_folder(out) as staging:
        fill(staging, NEW)
        assert content(out)["a.txt"] == b"earlier a"
        assert staging.is_relative_to(out), "staging has to be on the same file system"
    assert content(out) == NEW
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt", "more", "sub"]


def test_the_folder_is_made_and_strangers_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "y"
    fill(tmp_path / "x", {"theirs.txt": b"1"})
    with output_folder(folder) as staging:
        fill(staging, {"a.txt": b"2"})
    assert content(tmp_path / "x") == {"theirs.txt": b"1", "y/a.txt": b"2"}


def test_an_earlier_result_of_the_set_does_not_stay_beside_the_new(out: Path) -> None:
    fill(out, {"agreement.json": b"old scores", "notes.txt": b"theirs"})
    with output_folder(out, owns=("agreement.json", "a.txt", "never.json")) as staging:
        fill(staging, {"a.txt": b"new a"})
    assert content(out) == {**EARLIER, "a.txt": b"new a", "notes.txt": b"theirs"}


@pytest.mark.parametrize("name", ["../theirs.txt", "/etc/theirs.txt"])
def test_nothing_outside_is_ever_owned(out: Path, name: str) -> None:
    fill(out.parent, {"theirs.txt": b"theirs"})
    with pytest.raises(OutputError, match="inside its folder"), output_folder(out, owns=(name,)) as staging:
        fill(staging, NEW)
    assert content(out.parent)["theirs.txt"] == b"theirs"
    assert content(out) == EARLIER


def test_a_block_that_writes_nothing_changes_nothing(out: Path) -> None:
    with output_folder(out, owns=EARLIER):
        pass
    assert content(out) == EARLIER


def test_files_get_the_usual_rights(out: Path) -> None:
    usual = out / "b.txt"
    with output_folder(out) as staging:
        fill(staging, {"a.txt": b"x", "new/d.txt": b"x"})
        write_json(staging / "e.json", 1)
    assert (out / "e.json").stat().st_mode == (out / "a.txt").stat().st_mode == usual.stat().st_mode
    assert (out / "new").stat().st_mode == (out / "sub").stat().st_mode


def test_a_relative_path_holds_when_the_block_changes_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with output_folder(Path("result")) as staging:
        monkeypatch.chdir(tmp_path / "elsewhere")
        fill(staging, {"a.txt": b"x"})
    assert content(tmp_path) == {"result/a.txt": b"x"}


# ---- failure inside the block


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), Cancelled("stop"), SystemExit(3)], ids=repr)
def test_any_exception_leaves_the_earlier_results(out: Path, error: BaseException) -> None:
    def work() -> None:
        with output_folder(out, owns=EARLIER) as staging:
            fill(staging, NEW)
            raise error

    with pytest.raises(type(error)):
        work()
    assert content(out) == EARLIER


def test_a_failed_first_run_leaves_no_folder(tmp_path: Path) -> None:
    def work() -> None:
        with output_folder(tmp_path / "x" / "y") as staging:
            fill(staging, NEW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_work_itself_is_not_disguised(out: Path) -> None:
    with pytest.raises(FileNotFoundError), output_folder(out):
        (out / "input that is not there.tif").read_bytes()
    assert content(out) == EARLIER


def test_an_error_of_the_staging_folder_is_an_output_error(out: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), output_folder(out) as staging:
        (staging / "not made" / "a.txt").write_bytes(b"")
    assert content(out) == EARLIER


# ---- failure while moving into place


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=["EIO", "interrupt"]
)
def test_a_move_that_fails_midway_is_taken_back(
    out: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int, error: BaseException, links: bool
) -> None:
    fill(out, {"owned.json": b"earlier"})
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    replace, moved = Path.replace, []

    def breaking(self: Path, target: Path) -> Path:
        if "new" in self.parts[-4:-1] and self.suffix == ".txt":
            moved.append(self)
            if len(moved) == fails_at:
                raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", breaking)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OutputError
    with pytest.raises(expected), output_folder(out, owns=("owned.json",)) as staging:
        fill(staging, NEW)
    assert len(moved) == fails_at
    assert content(out) == {**EARLIER, "owned.json": b"earlier"}
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt", "owned.json", "sub"]


def _no_links(*args: object, **options: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_without_hard_links_the_result_is_the_same(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    with output_folder(out, owns=("b.txt",)) as staging:
        fill(staging, {"a.txt": b"new a"})
    assert content(out) == {"a.txt": b"new a", "sub/c.txt": b"earlier c"}


def test_when_taking_back_fails_too_the_next_run_does_it(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def breaking(self: Path, target: Path) -> Path:
        if self.name == "b.txt" or "old" in self.parts:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", breaking)
        with pytest.raises(OutputError), output_folder(out) as staging:
            fill(staging, NEW)
        assert any(name.startswith(STAGING_PREFIX) for name in content(out)), "the only copy must not be thrown away"

    with output_folder(out):
        assert {name: data for name, data in content(out).items() if not name.startswith(".")} == EARLIER
    assert content(out) == EARLIER


def test_a_folder_in_the_way_of_a_file_is_found_before_anything_moves(out: Path) -> None:
    with pytest.raises(OutputError, match=r"sub is in the way"), output_folder(out) as staging:
        fill(staging, {"a.txt": b"new", "sub": b"a file"})
    assert content(out) == EARLIER
    with pytest.raises(OutputError, match=r"b.txt is in the way"), output_folder(out) as staging:
        fill(staging, {"a.txt": b"new", "b.txt/x": b"a folder"})
    assert content(out) == EARLIER


def test_a_link_is_no_result(out: Path) -> None:
    with pytest.raises(OutputError, match="not a plain file"), output_folder(out) as staging:
        (staging / "a.txt").symlink_to("/etc/passwd")
    assert content(out) == EARLIER


# ---- crashes


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from s2dash.export.folder import output_folder
with output_folder(Path(sys.argv[1])) as staging:
    (staging / "a.txt").write_bytes(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_WHILE_MOVING = """
import os, signal, sys
from pathlib import Path
from s2dash.export import folder as module
replace, left = Path.replace, int(sys.argv[2])
def dying(self, target):
    global left
    if self.suffix == ".txt":
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return replace(self, target)
Path.replace = dying
with module.output_folder(Path(sys.argv[1]), owns=("owned.json",)) as staging:
    for name in ("a.txt", "b.txt", "sub/c.txt", "more/d/e.txt"):
        (staging / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / name).write_bytes(b"new " + name[-5:-4].encode())
"""


def test_a_kill_while_writing_leaves_the_earlier_results(out: Path) -> None:
    code, _, _ = finish(child(KILLED_WHILE_WRITING, out))
    assert code == -signal.SIGKILL
    left = content(out)
    assert {name: left[name] for name in EARLIER} == EARLIER
    assert any(name.startswith(STAGING_PREFIX) for name in left)
    assert LOCK_NAME in left, "a dead process's lock file is still there, and must not block"
    with output_folder(out) as staging:
        fill(staging, {"a.txt": b"new a"})
    assert content(out) == {**EARLIER, "a.txt": b"new a"}


@pytest.mark.parametrize("moved", [0, 2])
def test_a_kill_while_moving_is_completed_by_the_next_run(out: Path, moved: int) -> None:
    fill(out, {"owned.json": b"earlier"})
    code, _, complained = finish(child(KILLED_WHILE_MOVING, out, moved))
    assert code == -signal.SIGKILL, complained
    with pytest.raises(ZeroDivisionError), output_folder(out) as staging:
        fill(staging, {"a.txt": str(1 / 0).encode()})
    assert content(out) == NEW


def test_a_stray_link_called_like_staging_is_not_followed(out: Path, tmp_path: Path) -> None:
    fill(tmp_path / "theirs", {"x": b"x"})
    (out / f"{STAGING_PREFIX}evil").symlink_to(tmp_path / "theirs")
    with output_folder(out):
        pass
    assert content(out) == EARLIER
    assert content(tmp_path / "theirs") == {"x": b"x"}


# ---- two at once


def test_a_second_run_into_the_same_folder_is_refused(out: Path) -> None:
    with output_folder(out) as staging:
        with (
            pytest.raises(OutputBusyError, match=rf"process {os.getpid()}\).*choose another folder"),
            output_folder(out),
        ):
            pass
        fill(staging, NEW)
    assert content(out) == NEW


HOLDING = """
import sys
from pathlib import Path
from s2dash.export.folder import output_folder
with output_folder(Path(sys.argv[1])) as staging:
    (staging / "a.txt").write_bytes(b"theirs")
    print("holding", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_refused_and_told_who_holds_it(out: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(out)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(OutputBusyError, match=f"process {holder.pid}"), output_folder(out):
            pass
        assert any(name.startswith(STAGING_PREFIX) for name in content(out)), "the other's staging was cleared away"
    finally:
        holder.communicate("\n", timeout=60)
    assert holder.returncode == 0
    assert content(out) == {**EARLIER, "a.txt": b"theirs"}


def test_many_threads_never_mix_their_sets(tmp_path: Path) -> None:
    folder = tmp_path / "made and removed" / "again and again"
    names = [f"{n}.txt" for n in range(5)]
    outcomes: list[str] = []

    def run(who: int) -> None:
        for turn in range(15):
            try:
                with output_folder(folder) as staging:
                    fill(staging, {name: f"{who} {turn}".encode() for name in names})
                    if turn % 3 == 0:
                        raise Cancelled("stop")
                outcomes.append("done")
            except (OutputBusyError, Cancelled) as error:
                outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 60, "a thread died of something else"
    assert "done" in outcomes
    written = content(folder)
    assert sorted(written) == names
    assert len(set(written.values())) == 1


# ---- places that cannot be written


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    fill(tmp_path, {"file": b"theirs"})
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="not a folder"), output_folder(path):
            pass
    assert content(tmp_path) == {"file": b"theirs"}


@pytest.mark.parametrize("path", ["a\0b", "/proc/nowhere/x", "/" + "x" * 300], ids=["NUL", "proc", "long"])
def test_an_impossible_path(path: str) -> None:
    with pytest.raises(OutputError, match=r"another folder\."), output_folder(Path(path)):
        pass


def test_a_lock_that_is_a_link_is_not_written_through(out: Path, tmp_path: Path) -> None:
    fill(tmp_path, {"theirs": b"theirs"})
    (out / LOCK_NAME).symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError), output_folder(out):
        pass
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the read-only disk is tried instead")
def test_a_folder_without_the_right_to_write(out: Path) -> None:
    out.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"cannot be written.*rights"), output_folder(out):
            pass
    finally:
        out.chmod(0o700)
    assert content(out) == EARLIER


def _on_a_disk_of_its_own(place: Path, script: str) -> dict[str, Any]:
    """Run a script with a 1 MiB file system at `place`, seen by it alone; its JSON answer."""
    if shutil.which("unshare") is None:
        pytest.skip("needs `unshare` to mount a small disk of its own")
    place.mkdir()
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m tmpfs '{place}'"
    if subprocess.run([*command, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let the test mount a small disk of its own")
    done = subprocess.run(
        [*command, f"{mount} && exec '{sys.executable}' -c \"$1\" '{place}'", "sh", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


FULL_DISK = """
import json, sys
from pathlib import Path
import numpy as np
from s2dash.errors import OutputError
from s2dash.export.folder import check_space, output_folder
out = Path(sys.argv[1]) / "out"
out.mkdir()
(out / "a.txt").write_bytes(b"earlier" * 10000)
said = []
def attempt(write, **options):
    try:
        with output_folder(out, **options) as staging:
            (staging / "a.txt").write_bytes(b"new" * 10000)
            write(staging)
        said.append("done")
    except OutputError as error:
        said.append(str(error))
def plainly(staging):
    (staging / "b.bin").write_bytes(bytes(2_000_000))
def through_gdal(staging):
    import rasterio
    from rasterio.io import MemoryFile
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500), dtype=np.uint8)
    with MemoryFile() as memory:
        shape = dict(height=1500, width=1500, count=1, dtype="uint8", crs="EPSG:32633")
        with memory.open(driver="GTiff", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **shape) as raster:
            raster.write(noise, 1)
        rasterio.shutil.copy(memory.name, str(staging / "c.tif"), driver="COG")
import rasterio.shutil
attempt(plainly)
attempt(through_gdal)
attempt(plainly, needed_bytes=2_000_000)
attempt(lambda staging: None)
print(json.dumps({"said": said, "files": {p.name: p.read_bytes()[:3].decode() for p in out.iterdir()}}))
"""


def test_a_full_disk_leaves_the_earlier_result(tmp_path: Path) -> None:
    answer = _on_a_disk_of_its_own(tmp_path / "disk", FULL_DISK)
    plainly, through_gdal, foreseen, after = answer["said"]
    for said in (plainly, through_gdal):
        assert "full (" in said
        assert "written" in said
        assert "free" in said
        assert "Earlier results there are untouched" in said
    assert "about 1.9 MiB needed" in foreseen
    assert after == "done", "the room of the failed attempts was not given back"
    assert answer["files"] == {"a.txt": "new"}


READ_ONLY_DISK = """
import json, subprocess, sys
from pathlib import Path
from s2dash.errors import OutputError
from s2dash.export.folder import output_folder, write_json
place = Path(sys.argv[1])
(place / "a.txt").write_bytes(b"earlier")
subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
said = []
for path in (place, place / "new"):
    try:
        with output_folder(path):
            pass
    except OutputError as error:
        said.append(str(error))
try:
    write_json(place / "x.json", 1)
except OutputError as error:
    said.append(str(error))
print(json.dumps({"said": said}))
"""


def test_a_read_only_disk(tmp_path: Path) -> None:
    said = _on_a_disk_of_its_own(tmp_path / "disk", READ_ONLY_DISK)["said"]
    assert len(said) == 3
    assert all("cannot be written: Read-only file system" in text for text in said)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_turns_out_full_only_when_flushed(out: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"is full \(.*free\)"), output_folder(out) as staging:
        fill(staging, NEW)
    monkeypatch.undo()
    assert content(out) == EARLIER


def test_check_space_names_both_numbers(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_space(tmp_path / "not" / "there" / "yet.tif", 1)
    with pytest.raises(OutputError, match=r"PiB|TiB needed, .* free"):
        check_space(tmp_path / "not" / "there", free + 2**50)


# ---- JSON


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: float
    where: Path


class Model(BaseModel):
    code: int
    when: datetime


def test_json_holds_what_the_package_keeps(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    value = {
        "z": np.float32(0.5),
        "a": np.int64(3),
        3: np.array([[1, 2], [3, 4]], dtype=np.uint8),
        "flag": np.bool_(True),
        "text": "Дніпро ✓",
        "where": Path("/a/b"),
        "when": datetime(2021, 5, 1, 12, tzinfo=UTC),
        "day": date(2021, 5, 1),
        "set": frozenset({3, 1, 2}),
        "table": MappingProxyType({np.int64(1): (None, True)}),
        "colour": Colour.RED,
        "point": Point(1.5, Path("p")),
        "model": Model(code=1, when=datetime(2021, 5, 1, tzinfo=UTC)),
        "undecodable": os.fsdecode(b"caf\xe9"),
    }
    write_json(path, value)
    text = path.read_bytes().decode("utf-8")
    assert "Дніпро ✓" in text
    assert text.endswith("\n")
    read = json.loads(text)
    assert list(read) == ["z", "a", "3", *list(value)[3:]], "the order is the given one"
    assert read == {
        "z": 0.5,
        "a": 3,
        "3": [[1, 2], [3, 4]],
        "flag": True,
        "text": "Дніпро ✓",
        "where": "/a/b",
        "when": "2021-05-01T12:00:00+00:00",
        "day": "2021-05-01",
        "set": [1, 2, 3],
        "table": {"1": [None, True]},
        "colour": "red",
        "point": {"x": 1.5, "where": "p"},
        "model": {"code": 1, "when": "2021-05-01T00:00:00+00:00"},
        "undecodable": os.fsdecode(b"caf\xe9"),
    }


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"scores": [1.0, float("nan")]}, r"\$\.scores\[1\] is nan"),
        ({"a": {"b": np.float64("inf")}}, r"\$\.a\.b is inf"),
        (np.array([0.0, np.nan]), r"\$\[1\] is nan"),
        ({"f": print}, r"\$\.f is a builtin_function_or_method"),
        ({1: "a", "1": "b"}, r"keys at \$"),
    ],
)
def test_what_json_cannot_hold_is_refused_and_the_earlier_file_stays(tmp_path: Path, value: Any, where: str) -> None:
    path = tmp_path / "x.json"
    write_json(path, "earlier")
    with pytest.raises(OutputError, match=where):
        write_json(path, value)
    assert json.loads(path.read_text()) == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_json_file_that_cannot_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_json(path, "earlier")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="is full"):
        write_json(path, "new")
    assert json.loads(path.read_text()) == "earlier"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="cannot be written"):
        write_json(tmp_path / "not there" / "x.json", "new")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[list[object]]:
    """Reads a JSON file all the time; holds what went wrong."""
    path, wrong, stop = tmp_path / "x.json", [], threading.Event()
    write_json(path, [0] * 5000)

    def read() -> None:
        while not stop.is_set():
            try:
                numbers = json.loads(path.read_text())
                if len(numbers) != 5000 or len(set(numbers)) != 1:
                    wrong.append("a mixture")
            except (OSError, ValueError) as error:
                wrong.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    yield wrong
    stop.set()
    thread.join()


def test_a_reader_never_sees_half_a_json_file(tmp_path: Path, reader: list[object]) -> None:
    until = time.monotonic() + 0.5
    turn = 0
    while time.monotonic() < until:
        turn += 1
        write_json(tmp_path / "x.json", [turn] * 5000)
    assert turn > 3
    assert reader == []


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert json_value(value) == value
    assert json.loads(json.dumps(json_value(value), allow_nan=False)) == value
