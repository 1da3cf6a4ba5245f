"""The workspace: nothing a person did is ever lost, and nothing leaves its folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from s2dash.annotation.answer import Answer
from s2dash.annotation.legend import LegendEvent
from s2dash.clustering.edits import ClusterEdit
from s2dash.edit_history import EditEntry
from s2dash.errors import StoreError, UnsafeNameError
from s2dash.store import Store, tables
from s2dash.store.secrecy import redact

# Python 3.12 warns of every fork beside a thread; the children here use nothing of other threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[1]
WHEN = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Робоча тека"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> str:
    return begin(store)


def begin(store: Store, title: str = "A run", **options: Any) -> str:
    project = store.ensure_project("Project").id
    return store.begin_run(**{"project": project, "title": title, "scene": {}, "settings": {}} | options).id


def answer(cluster: int = 1, **changes: Any) -> Answer:
    fields = {
        "annotator": "rules",
        "cluster": cluster,
        "code": 80,
        "second": 90,
        "term": "вода",
        "confidence": 0.75,
        "evidence": ("NDWI 0.61", "темна"),
        "raw": '{"class": "вода\u0000"}',
        "card": f"card {cluster}",
        "prompt": "prompt",
        "model": "rules 1",
        "answered": WHEN,
    }
    return Answer(**fields | changes)


def override(cluster: int = 1, **changes: Any) -> LegendEvent:
    fields = {
        "kind": "override",
        "cluster": cluster,
        "before": None,
        "after": 80,
        "who": "Оля",
        "when": WHEN,
        "why": "",
    }
    return LegendEvent(**fields | changes)


def edit(seq: int, step: str = "edit", **changes: Any) -> EditEntry:
    fields = {"kind": "merge", "clusters": (3, 5), "value": 0, "who": "Оля", "when": WHEN, "made": (13,)}
    return EditEntry(seq, step, ClusterEdit(**fields | changes), "Оля", WHEN, ("Mind this.",))  # type: ignore[arg-type]


def fork(work: Callable[[], object]) -> int:
    """Run `work` in a process of its own; its number. Far quicker than a new Python."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def ended(pid: int) -> int:
    """Wait for a process: its exit code, or the signal that killed it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# ---- opening


def test_opening_makes_a_workspace_and_opening_again_finds_it(folder: Path) -> None:
    with Store.open(folder) as store:
        assert store.folder == folder
        assert store.projects() == ()
        run = begin(store, "Дніпро, весна", scene={"path": "а.tif", "bands": ("B02",)}, settings={"k": np.int64(12)})
        kept = store.save_answer(run, answer())
        store.add_event(run, override())
        store.set_setting("basemap", {"name": "OSM"})
        store.finish_run(run, summary={"overall": np.float32(0.5)})
        record = store.run(run)
    with Store.open(folder) as again:
        assert again.run(run) == record
        assert (record.title, record.status, record.summary) == ("Дніпро, весна", "finished", {"overall": 0.5})
        assert (record.scene, record.settings) == ({"path": "а.tif", "bands": ["B02"]}, {"k": 12})
        assert again.answers(run) == (kept,) == (answer(),)
        assert again.events(run) == (override(),)
        assert again.get_setting("basemap") == {"name": "OSM"}
        assert again.run_folder(run).is_dir()
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == ["runs", "s2dash.db"]


def test_readers_and_writers_share_the_file(store: Store, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "a commit has to outlive a power cut"


def test_a_closed_store_says_so(folder: Path) -> None:
    store = Store.open(folder)
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.runs()


def test_many_may_open_a_new_workspace_at_once(folder: Path) -> None:
    processes = [fork(lambda: Store.open(folder).create_project(str(os.getpid()))) for _ in range(6)]
    assert [ended(pid) for pid in processes] == [0] * 6
    with Store.open(folder) as store:
        assert {project.name for project in store.projects()} == {str(pid) for pid in processes}


def test_a_forked_child_has_connections_of_its_own(store: Store, run: str) -> None:
    store.add_event(run, override(1))
    assert ended(fork(lambda: store.add_event(run, override(2)))) == 0
    store.add_event(run, override(3))
    assert [event.cluster for event in store.events(run)] == [1, 2, 3]


# ---- places and databases that cannot be used


def test_a_file_where_the_workspace_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("theirs")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=r"not a folder.*Choose another"):
            Store.open(place)
    assert (tmp_path / "file").read_text() == "theirs"


@pytest.mark.parametrize("place", ["a\0b", "/proc/nowhere", "/" + "x" * 300], ids=["NUL", "proc", "long"])
def test_an_impossible_workspace(place: str) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        Store.open(Path(place))


def damage_header(path: Path) -> None:
    path.write_bytes(b"this is no database" * 300)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = os.urandom(len(data) // 2 - 4096)
    path.write_bytes(data)


def damage_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def damage_all(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_header, damage_middle, damage_end, damage_all])
def test_a_corrupt_database_is_named_and_never_touched(folder: Path, damage: Any) -> None:
    with Store.open(folder) as store:
        begin(store)
    path = folder / "s2dash.db"
    damage(path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with pytest.raises(StoreError, match=r"(is corrupt|is empty although).*Restore it from a copy"):
        Store.open(folder)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert all(item == path or item.stat().st_size == 0 for item in folder.glob("s2dash.db-wal"))


def test_an_empty_file_without_runs_is_a_fresh_start(folder: Path) -> None:
    folder.mkdir()
    (folder / "s2dash.db").touch()
    with Store.open(folder) as store:
        assert store.runs() == ()


@pytest.mark.parametrize(
    ("version", "said"), [(tables.SCHEMA_VERSION + 1, "newer s2dash.*Update"), (0, "no known version")]
)
def test_another_version_is_refused(folder: Path, version: int, said: str) -> None:
    Store.open(folder).close()
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        file.execute("UPDATE schema_version SET version = ?", (version,))
        file.commit()
    before = (folder / "s2dash.db").read_bytes()
    with pytest.raises(StoreError, match=said):
        Store.open(folder)
    assert (folder / "s2dash.db").read_bytes() == before


def make_version_1(folder: Path) -> None:
    """What a workspace was before clusters could be edited: the same tables but one, and no trigger on it."""
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        file.executescript("DROP TABLE cluster_edits; UPDATE schema_version SET version = 1;")


def test_a_workspace_of_version_1_is_brought_up_to_date_and_loses_nothing(folder: Path) -> None:
    with Store.open(folder) as store:
        run = begin(store)
        store.add_event(run, override())
        kept = store.save_answer(run, answer())
        store.finish_run(run, summary={"overall": 0.5})
    make_version_1(folder)
    with Store.open(folder) as store:
        assert store.events(run) == (override(),)
        assert store.answers(run) == (kept,)
        assert store.run(run).summary == {"overall": 0.5}
        assert store.cluster_edits(run).entries == ()
        store.add_cluster_edit(run, edit(1))
        assert store.cluster_edits(run).entries == (edit(1),)
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        assert file.execute("SELECT version FROM schema_version").fetchall() == [(tables.SCHEMA_VERSION,)]
        with pytest.raises(sqlite3.Error, match="append-only"):
            file.execute("UPDATE cluster_edits SET who = 'x'")


def test_many_may_bring_a_workspace_up_to_date_at_once(folder: Path) -> None:
    Store.open(folder).close()
    make_version_1(folder)
    processes = [fork(lambda: Store.open(folder).create_project(str(os.getpid()))) for _ in range(4)]
    assert [ended(pid) for pid in processes] == [0] * 4


def test_a_kill_while_it_is_brought_up_to_date_leaves_the_old_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(folder) as store:
        run = begin(store)
    make_version_1(folder)

    def work() -> None:
        def create(connection: Any) -> None:
            tables.cluster_edits.create(connection)
            kill_myself()

        monkeypatch.setattr(tables.metadata, "create_all", create)
        Store.open(folder)

    assert ended(fork(work)) == -signal.SIGKILL
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        assert file.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'cluster_edits'").fetchall()
    with Store.open(folder) as store:
        assert store.cluster_edits(run).entries == ()


def test_another_programs_database_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    path = folder / "s2dash.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE recipes (name)")
        file.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"another program \(it holds recipes\)"):
        Store.open(folder)
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_database(folder: Path) -> None:
    (folder / "s2dash.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="should be a database file"):
        Store.open(folder)


READ_ONLY = """
import subprocess, sys
from pathlib import Path
from s2dash.store import Store
Store.open(Path(sys.argv[1])).close()
subprocess.run(["mount", "-o", "remount,ro", sys.argv[2]], check=True)
try:
    Store.open(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_read_only_workspace(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=4m tmpfs '{disk}'"
    if shutil.which("unshare") is None:
        pytest.skip("needs `unshare` to mount a disk of its own")
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*command, mount], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let the test mount a disk of its own")
    shell = f"{mount} && exec '{sys.executable}' -c \"$1\" '{disk}/w' '{disk}'"
    done = subprocess.run([*command, shell, "sh", READ_ONLY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("StoreError The workspace")
    assert "cannot be written: Read-only file system. Change the rights" in done.stdout


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not an address", "cannot be read"),
        ("mysql://me:hunter2@host/base", "not supported"),
        ("sqlite://", "forgets everything"),
        ("sqlite:///:memory:", "forgets everything"),
        ("postgresql+nothing://me:hunter2@host/base", "cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(folder: Path, url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        Store.open(folder, url=url)
    assert "hunter2" not in str(caught.value)


def test_another_sqlite_file_by_address(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder, url=f"sqlite:///{tmp_path / 'other.db'}") as store:
        begin(store)
    assert (tmp_path / "other.db").exists()
    assert not (folder / "s2dash.db").exists()


# ---- locked


def test_a_writer_waits_for_another(store: Store, run: str, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "s2dash.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.4, other.execute, ("COMMIT",))
        started = time.monotonic()
        release.start()
        assert store.run(run).id == run, "readers do not wait"
        assert time.monotonic() - started < 0.35
        store.add_event(run, override())
        assert time.monotonic() - started >= 0.35
        release.join()
    assert len(store.events(run)) == 1


def test_a_lock_that_never_ends_is_an_error_that_says_so(folder: Path) -> None:
    with Store.open(folder, busy_timeout=0.1) as store:
        run = begin(store)
        with closing(sqlite3.connect(folder / "s2dash.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"locked by another process.*try again"):
                store.add_event(run, override())
            with pytest.raises(StoreError, match="locked"):
                store.create_project("Another")
            with Store.open(folder, busy_timeout=0.1) as second:
                assert second.run(run).id == run
            other.execute("ROLLBACK")
        store.add_event(run, override())
        assert len(store.events(run)) == 1


# ---- projects and runs


def test_projects(store: Store) -> None:
    first = store.create_project("Поля")
    second = store.create_project("Woods")
    assert store.projects() == (first, second)
    assert store.project(second.id) == second
    assert first.created.tzinfo is UTC
    assert store.ensure_project("Поля") == first
    with pytest.raises(StoreError, match="already"):
        store.create_project("Woods")
    with pytest.raises(StoreError, match="no project"):
        store.project("none")


def test_two_people_ask_for_the_same_project_at_once(folder: Path) -> None:
    stores = [Store.open(folder) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda store: store.ensure_project("Demo"), stores))
    assert len(found) == 1
    for store in stores:
        store.close()


def test_a_run_from_its_beginning_to_its_end(store: Store) -> None:
    before = datetime.now(UTC)
    run = begin(store, "First")
    record = store.run(run)
    assert (record.status, record.finished, record.summary, record.error) == ("running", None, {}, "")
    assert before <= record.created <= datetime.now(UTC)
    assert record.created.utcoffset() == timedelta(0)
    assert run.startswith(f"{record.created:%Y%m%d-%H}")
    job = store.job(run)
    assert job is not None
    assert (job.pid, job.share, job.cancel_asked) == (os.getpid(), 0.0, False)
    done = store.finish_run(run, summary={"overall": 0.5})
    assert done == store.run(run)
    assert (done.status, done.summary) == ("finished", {"overall": 0.5})
    assert done.finished is not None
    assert done.finished >= record.created
    assert store.job(run) is None
    again = store.finish_run(run, summary={"overall": 0.6})
    assert (again.summary, again.finished) == ({"overall": 0.6}, done.finished)


def test_whoever_ends_a_run_first_decides_how(store: Store) -> None:
    cancelled = begin(store)
    store.cancel_run(cancelled)
    with pytest.raises(StoreError, match="is cancelled already"):
        store.finish_run(cancelled, summary={"overall": 1.0})
    assert store.fail_run(cancelled, error="late").error == ""
    assert (store.run(cancelled).status, store.run(cancelled).summary) == ("cancelled", {})
    failed = begin(store)
    assert store.fail_run(failed, error="No room\0 \udce9").error == "No room\\x00 \\udce9"
    assert store.cancel_run(failed).status == "failed"
    done = begin(store)
    store.finish_run(done, summary={})
    assert store.cancel_run(done).status == "finished"


def test_runs_are_listed_newest_first_and_by_project(store: Store) -> None:
    other = store.create_project("Other").id
    runs = [begin(store, f"{n}", **({"project": other} if n % 2 else {})) for n in range(6)]
    assert [record.title for record in store.runs()] == ["5", "4", "3", "2", "1", "0"]
    assert [record.id for record in store.runs(project=other)] == [runs[5], runs[3], runs[1]]
    assert len(set(runs)) == 6
    assert store.runs(project="none") == ()


def test_an_unknown_run(store: Store) -> None:
    for ask in (
        store.run,
        store.answers,
        store.events,
        store.cancel_run,
        store.ask_cancel,
        lambda run: store.rename_run(run, "x"),
        lambda run: store.add_event(run, override()),
        lambda run: store.save_answer(run, answer()),
        store.delete_run,
    ):
        with pytest.raises(StoreError, match=r"no run|not the id"):
            ask("20260101-000000-abcdef")
    with pytest.raises(StoreError, match="no project"):
        begin(store, project="none")
    assert list((store.folder / "runs").iterdir()) == []


@pytest.mark.parametrize("text", ["../x", "a/b", "a\\b", "a\0b", "", "x" * 300, "\ud800"], ids=ascii)
def test_a_name_like_a_path_is_refused_everywhere(store: Store, run: str, text: str) -> None:
    for ask in (
        store.create_project,
        store.ensure_project,
        lambda name: begin(store, name),
        lambda name: store.rename_run(run, name),
    ):
        with pytest.raises(UnsafeNameError):
            ask(text)
    assert [record.title for record in store.runs()] == ["A run"]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE runs; --", '<script>alert("x")</script'.replace("/", "|"), "森林 🌲", "%s {x}"]
)
def test_text_from_people_is_data(store: Store, run: str, text: str) -> None:
    assert store.rename_run(run, text).title == text
    assert store.run(run).title == text
    assert len(store.runs()) == 1


@pytest.mark.parametrize(
    "attack",
    [
        "../../etc",
        "/etc",
        "..",
        ".",
        "",
        "x",
        "20260101-000000-abcdef/..",
        "20260101-000000-abcdef\n",
        "٢٠٢٦٠١٠١-000000-abcdef",
    ],
    ids=ascii,
)
def test_a_run_folder_never_leaves_the_workspace(store: Store, attack: str) -> None:
    with pytest.raises(UnsafeNameError, match="not the id of a run"):
        store.run_folder(attack)
    with pytest.raises(StoreError):
        store.delete_run(attack)


def test_a_run_folder_that_leads_elsewhere_is_refused(store: Store, run: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "x").write_text("theirs")
    folder = store.run_folder(run)
    folder.rmdir()
    folder.symlink_to(tmp_path / "theirs")
    for ask in (store.run_folder, store.delete_run):
        with pytest.raises(UnsafeNameError, match="out of the workspace"):
            ask(run)
    assert (tmp_path / "theirs" / "x").read_text() == "theirs"


# ---- the process at work


def test_progress_and_the_wish_to_stop_reach_the_other_side(store: Store, run: str, folder: Path) -> None:
    with Store.open(folder) as browser:
        assert store.report_job(run, share=0.25, text="Fitting\0") is True
        job = browser.job(run)
        assert job is not None
        assert (job.share, job.text) == (0.25, "Fitting\\x00")
        browser.ask_cancel(run)
        assert store.report_job(run, share=0.5, text="Fitting") is False
        store.cancel_run(run)
        assert store.report_job(run, share=1.0, text="Done") is False
        assert browser.job(run) is None


def test_a_dead_process_leaves_its_run_interrupted_and_a_live_one_keeps_it(folder: Path) -> None:
    with Store.open(folder) as store:
        mine = begin(store)
    came, goes = os.pipe(), os.pipe()

    def work() -> None:
        os.write(came[1], begin(Store.open(folder)).encode())
        os.read(goes[0], 1)
        kill_myself()

    pid = fork(work)
    theirs = os.read(came[0], 100).decode()
    with Store.open(folder) as store:
        assert {record.id: record.status for record in store.runs()} == {mine: "running", theirs: "running"}
        with pytest.raises(StoreError, match=f"Process {pid} .* still works"):
            store.delete_run(theirs)
        assert store.run_folder(theirs).is_dir()
    os.write(goes[1], b"x")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with Store.open(folder) as store:
        assert store.run(theirs).status == "interrupted", "dead, though nobody has collected it yet"
    assert ended(pid) == -signal.SIGKILL
    for handle in (*came, *goes):
        os.close(handle)
    with Store.open(folder) as store:
        assert store.run(mine).status == "running"
        dead = store.run(theirs)
        assert dead.finished is not None
        assert f"process {pid}" in dead.error
        assert store.job(theirs) is None
        store.delete_run(theirs)
        assert [record.id for record in store.runs()] == [mine]


@pytest.mark.parametrize(
    ("column", "value", "status"),
    [
        ("mark", "another boot", "interrupted"),
        ("pid", 2**22 + 1, "interrupted"),
        ("host", "another machine", "running"),
    ],
)
def test_a_number_used_again_is_not_the_same_process(folder: Path, column: str, value: Any, status: str) -> None:
    with Store.open(folder) as store:
        run = begin(store)
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        file.execute(f"UPDATE jobs SET {column} = ?", (value,))
        file.commit()
    with Store.open(folder) as store:
        assert store.run(run).status == status


# ---- deleting


def test_deleting_a_run_takes_all_of_it_but_the_answers(store: Store, run: str) -> None:
    other = begin(store, "Other")
    for each in (run, other):
        (store.run_folder(each) / "maps").mkdir()
        (store.run_folder(each) / "maps" / "clusters.tif").write_bytes(b"x")
        store.save_answer(each, answer())
        store.add_event(each, override())
        store.finish_run(each, summary={})
    store.delete_run(run)
    assert [record.id for record in store.runs()] == [other]
    assert not store.run_folder(run).exists()
    with pytest.raises(StoreError, match="no run"):
        store.events(run)
    assert store.events(other) == (override(),)
    assert store.answers(other) == (answer(),)
    assert (store.run_folder(other) / "maps" / "clusters.tif").exists()
    store.delete_run(other)
    assert store.find_answer(card="card 1", prompt="prompt", model="rules 1") == answer(), "it was paid for"
    assert list((store.folder / "runs").iterdir()) == []


def test_a_run_whose_folder_is_gone_can_be_deleted(store: Store, run: str) -> None:
    store.finish_run(run, summary={})
    store.run_folder(run).rmdir()
    store.delete_run(run)
    assert store.runs() == ()


def test_a_run_that_was_stopped_leaves_no_empty_folder(store: Store, run: str) -> None:
    store.cancel_run(run)
    assert not store.run_folder(run).exists()
    store.delete_run(run)
    assert store.runs() == ()


def test_a_deletion_cut_short_is_completed_or_taken_back(folder: Path) -> None:
    with Store.open(folder) as store:
        kept, gone = begin(store, "kept"), begin(store, "gone")
        for run in (kept, gone):
            store.finish_run(run, summary={})
            (store.run_folder(run) / "x").write_text(run)
            store.run_folder(run).rename(folder / "runs" / f".deleted-{run}")
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        file.execute("DELETE FROM runs WHERE id = ?", (gone,))
        file.commit()
    with Store.open(folder) as store:
        assert (store.run_folder(kept) / "x").read_text() == kept
        assert [path.name for path in (folder / "runs").iterdir()] == [kept]


def test_a_deletion_the_database_refuses_leaves_the_folder(folder: Path) -> None:
    with Store.open(folder, busy_timeout=0.1) as store:
        run = begin(store)
        store.finish_run(run, summary={})
        (store.run_folder(run) / "x").write_text("x")
        with closing(sqlite3.connect(folder / "s2dash.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="locked"):
                store.delete_run(run)
        assert (store.run_folder(run) / "x").read_text() == "x"
        assert store.run(run).status == "finished"


# ---- answers


def test_an_answer_is_found_again_from_another_run(store: Store, run: str) -> None:
    assert store.find_answer(card="card 1", prompt="prompt", model="rules 1") is None
    assert store.save_answer(run, answer()) == answer()
    other = begin(store)
    assert store.answers(other) == ()
    found = store.find_answer(card="card 1", prompt="prompt", model="rules 1", cluster=7)
    assert found == answer(card="card 1").model_copy(update={"cluster": 7})
    store.save_answer(other, found)
    assert [kept.cluster for kept in store.answers(other)] == [7]
    assert [kept.cluster for kept in store.answers(run)] == [1]
    with closing(sqlite3.connect(store.folder / "s2dash.db")) as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_an_answer_book_finds_from_any_run_and_keeps_for_its_own(store: Store, run: str) -> None:
    store.save_answer(run, answer())
    other = begin(store)
    book = store.answer_book(other)
    assert book.find(card="another", prompt="prompt", model="rules 1") is None
    found = book.find(card="card 1", prompt="prompt", model="rules 1")
    assert found == answer()
    book.keep(found.model_copy(update={"cluster": 4, "annotator": "second opinion"}))
    assert [(kept.cluster, kept.annotator) for kept in store.answers(other)] == [(4, "second opinion")]
    assert store.answers(run) == (answer(),)


@pytest.mark.parametrize("part", ["card", "prompt", "model"])
def test_every_part_of_the_key_counts(store: Store, run: str, part: str) -> None:
    first, second = answer(), answer(code=10, **{part: "another"})
    store.save_answer(run, first)
    store.save_answer(run, second)
    assert store.answers(run) == (first, second)
    assert store.find_answer(card=second.card, prompt=second.prompt, model=second.model) == second


def test_the_first_of_two_answers_to_one_question_stays(store: Store, run: str) -> None:
    store.save_answer(run, answer(code=80))
    assert store.save_answer(run, answer(code=10)).code == 80
    assert store.save_answer(run, answer(code=10, cluster=2, card="card 1")).code == 80
    assert [(kept.cluster, kept.code) for kept in store.answers(run)] == [(1, 80), (2, 80)]


@pytest.mark.parametrize("part", ["card", "model"])
def test_an_answer_that_could_never_be_found_is_refused(store: Store, run: str, part: str) -> None:
    with pytest.raises(StoreError, match="never be found again"):
        store.save_answer(run, answer(**{part: ""}))
    assert store.answers(run) == ()


def test_concurrent_answers_to_one_question_lose_nothing(folder: Path) -> None:
    stores = [Store.open(folder) for _ in range(4)]
    runs = [begin(store) for store in stores]

    def save(n: int) -> list[Answer]:
        return [stores[n].save_answer(runs[n], answer(cluster, code=n + 1)) for cluster in range(1, 11)]

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(save, range(4)))
    assert kept[0] == kept[1] == kept[2] == kept[3], "everybody was told which answer stays"
    for store, run in zip(stores, runs, strict=True):
        assert list(store.answers(run)) == kept[0]
        store.close()


# ---- what people decided


def test_events_come_back_in_order_and_as_they_were(store: Store, run: str) -> None:
    given = [
        override(1, why="видно з вулиці", when=WHEN.astimezone(timezone(timedelta(hours=3)))),
        override(2, before=80, after=None),
        LegendEvent(kind="undo", cluster=2, before=None, after=80, who="Оля", when=WHEN, why=""),
        LegendEvent(kind="redo", cluster=2, before=80, after=None, who="Ім'я", when=WHEN, why=""),
    ]
    assert [store.add_event(run, event) for event in given] == [1, 2, 3, 4]
    assert list(store.events(run)) == given
    assert all(event.when.utcoffset() == timedelta(0) for event in store.events(run))
    assert [record.seq for record in store.events_since(run, 2)] == [3, 4]
    assert [record.event for record in store.events_since(run, 2)] == given[2:]
    assert store.events_since(run, 4) == ()
    other = begin(store)
    assert store.add_event(other, override()) == 1, "every run has a history of its own"


def test_numbers_of_numpy_are_numbers(store: Store, run: str) -> None:
    store.add_event(run, override(np.int64(3), before=np.uint8(10), after=np.uint8(80)))
    assert store.events(run) == (override(3, before=10, after=80),)


def test_history_cannot_be_rewritten_even_by_hand(store: Store, run: str, folder: Path) -> None:
    store.add_event(run, override())
    with closing(sqlite3.connect(folder / "s2dash.db")) as file, pytest.raises(sqlite3.Error, match="append-only"):
        file.execute("UPDATE events SET code_after = 10")
    assert store.events(run) == (override(),)


def test_threads_never_lose_an_event(store: Store, run: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda cluster: store.add_event(run, override(cluster)), range(1, 81)))
    assert sorted(numbers) == list(range(1, 81))
    assert sorted(event.cluster for event in store.events(run)) == list(range(1, 81))


def test_processes_never_lose_an_event(store: Store, run: str, folder: Path) -> None:
    def add(who: str) -> None:
        with Store.open(folder) as mine:
            for cluster in range(1, 26):
                mine.add_event(run, override(cluster, who=who))

    people = ["a", "b", "c"]
    processes = [fork(lambda who=who: add(who)) for who in people]  # type: ignore[misc]
    add("me")
    assert [ended(pid) for pid in processes] == [0, 0, 0]
    assert [record.seq for record in store.events_since(run, 0)] == list(range(1, 101))
    for who in [*people, "me"]:
        assert [event.cluster for event in store.events(run) if event.who == who] == list(range(1, 26))


def test_what_was_done_is_there_after_a_kill(store: Store, run: str, folder: Path) -> None:
    def work() -> None:
        mine = Store.open(folder)
        mine.add_event(run, override(5, who="child"))
        mine.save_answer(run, answer())
        mine.set_setting("x", 1)
        kill_myself()

    assert ended(fork(work)) == -signal.SIGKILL
    assert [event.who for event in store.events(run)] == ["child"]
    assert store.answers(run) == (answer(),)
    assert store.get_setting("x") == 1
    store.add_event(run, override())
    assert len(store.events(run)) == 2


def test_a_kill_in_the_middle_of_writing_leaves_no_half(store: Store, run: str, folder: Path) -> None:
    def work() -> None:
        mine = Store.open(folder)
        with mine._database.write() as connection:
            connection.execute(tables.projects.insert().values(id="x", name="half", created=WHEN))
            kill_myself()

    assert ended(fork(work)) == -signal.SIGKILL
    assert [project.name for project in store.projects()] == ["Project"]
    store.add_event(run, override())


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    who=st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    why=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    when=st.datetimes(timezones=st.timezones(), allow_imaginary=False, min_value=datetime(1900, 1, 1)),
    after=st.none() | st.integers(1, 254),
)
def test_any_event_comes_back(store: Store, run: str, who: str, why: str, when: datetime, after: int | None) -> None:
    event = override(who=who, why=why, when=when, after=after)
    seq = store.add_event(run, event)
    (kept,) = store.events_since(run, seq - 1)
    assert kept.event == event


# ---- edits of clusters


def test_edits_come_back_in_order_and_as_they_were(store: Store, run: str) -> None:
    entries = (edit(1), edit(2, "undo"), edit(3, "redo"), edit(4, kind="sieve", clusters=(), value=9, made=()))
    for entry in entries:
        store.add_cluster_edit(run, entry)
    assert store.cluster_edits(run).entries == entries
    assert store.cluster_edits(begin(store)).entries == (), "every run has a record of its own"


def test_an_edit_and_the_decisions_that_come_with_it_are_kept_together_or_not_at_all(store: Store, run: str) -> None:
    store.add_cluster_edit(run, edit(1), events=[override(13), override(14)])
    assert store.changes(run)[:2] == (2, 1)
    broken = override(15)
    object.__setattr__(broken, "who", 7)  # cannot be cleaned
    with pytest.raises(AttributeError):
        store.add_cluster_edit(run, edit(2), events=[override(16), broken])
    assert store.changes(run)[:2] == (2, 1)


def test_of_two_edits_of_the_same_clusters_the_second_is_refused(store: Store, run: str) -> None:
    store.add_cluster_edit(run, edit(1))
    with pytest.raises(StoreError, match=r"meanwhile.*try again"):
        store.add_cluster_edit(run, edit(1))
    with pytest.raises(StoreError, match="meanwhile"):
        store.add_cluster_edit(run, edit(3))
    with pytest.raises(StoreError, match="meanwhile"):
        store.add_event(run, override(), edit=0)
    assert store.add_event(run, override(), edit=1) == 1
    assert store.changes(run)[:2] == (1, 1)
    with pytest.raises(StoreError, match="no run"):
        store.add_cluster_edit("20200101-000000-abcdef", edit(1))


def test_the_record_of_edits_cannot_be_rewritten_even_by_hand(store: Store, run: str, folder: Path) -> None:
    store.add_cluster_edit(run, edit(1))
    with closing(sqlite3.connect(folder / "s2dash.db")) as file, pytest.raises(sqlite3.Error, match="append-only"):
        file.execute("UPDATE cluster_edits SET content = '{}'")
    assert store.cluster_edits(run).entries == (edit(1),)


def test_edits_go_with_their_run(store: Store, run: str, folder: Path) -> None:
    store.add_cluster_edit(run, edit(1))
    store.finish_run(run, summary={})
    store.delete_run(run)
    with closing(sqlite3.connect(folder / "s2dash.db")) as file:
        assert file.execute("SELECT count(*) FROM cluster_edits").fetchone() == (0,)


# ---- settings, secrets


def test_settings(store: Store) -> None:
    assert store.get_setting("basemap") is None
    assert store.get_setting("basemap", "OSM") == "OSM"
    for value in ("Esri", {"a": [1, 2.5, None, "й"]}, None, 0, np.float32(0.5)):
        store.set_setting("basemap", value)
        assert store.get_setting("basemap", "default") == value
    with pytest.raises(StoreError, match="nan"):
        store.set_setting("basemap", {"x": float("nan")})
    for key in ("", "x" * 201, "a\0b"):
        with pytest.raises(StoreError, match="name of a setting"):
            store.set_setting(key, 1)
    assert store.get_setting("basemap") == 0.5


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apikey",
        "ANTHROPIC_API_KEY",
        "openaiKey",
        "key",
        "hf-token",
        "accessToken",
        "client secret",
        "Password",
        "db.passwd",
        "pwd",
        "passphrase",
        "AWS_SECRET_ACCESS_KEY",
        "credentials",
        "Authorization",
        "token",
    ],
)
def test_no_secret_is_ever_stored(store: Store, folder: Path, name: str) -> None:
    secret = "hunter2hunter2"
    nested = {"a": [{"b": {name: secret}}]}
    for ask in (
        lambda: store.set_setting(name, secret),
        lambda: store.set_setting("annotator", nested),
        lambda: begin(store, settings=nested),
        lambda: begin(store, scene=nested),
        lambda: store.finish_run(begin(store), summary=nested),
    ):
        with pytest.raises(StoreError, match="secret") as caught:
            ask()
        assert secret not in str(caught.value)
    store.close()
    assert all(secret.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["keyboard", "monkey", "tokenizer_name", "class", "passenger", "max_tokens", "pass"])
def test_harmless_names_are_kept(store: Store, name: str) -> None:
    store.set_setting(name, 500)
    assert store.get_setting(name) == 500
    begin(store, settings={"vlm": {name: 500}})


@pytest.mark.parametrize(
    "address",
    [
        "https://x.blob.core.windows.net/a.tif?se=2026&sig=abcDEF%3D",
        "https://me:hunter2@host/a",
        "postgresql://me:hunter2@host/base",
        "https://tiles.example/{z}/{x}/{y}?apikey=hunter2",
        "see https://s3/a?X-Amz-Signature=hunter2&x=1 there",
    ],
)
def test_a_signed_address_is_not_stored(store: Store, address: str) -> None:
    with pytest.raises(StoreError, match="address with a password or a signature"):
        begin(store, scene={"bands": [{"href": address}]})
    failed = store.fail_run(begin(store), error=f"Cannot read {address}")
    assert "…" in failed.error
    assert not any(secret in failed.error for secret in ("hunter2", "abcDEF"))
    assert redact(failed.error) == failed.error


def test_an_ordinary_address_is_stored(store: Store) -> None:
    scene = {"href": "https://host:8080/a@b/c.tif?year=2021&monkey=1", "note": "key=1, sig=2"}
    assert store.run(begin(store, scene=scene)).scene == scene


# ---- another database


def test_the_tables_are_ones_that_postgresql_takes() -> None:
    for table in tables.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=postgresql.dialect())).strip().startswith("CREATE TABLE")


@pytest.fixture
def server() -> str:
    """Address of an empty PostgreSQL database."""
    address = os.environ.get("S2DASH_TEST_POSTGRESQL")
    if not address:
        pytest.skip("set S2DASH_TEST_POSTGRESQL to the address of an empty PostgreSQL database to try one")
    return address


def test_a_team_works_on_one_postgresql(server: str, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(folder, url=server), range(4)))
        assert len(set(pool.map(lambda store: store.ensure_project("Team").id, stores))) == 1
        run = begin(stores[0], scene={"name": "Дніпро"})
        list(pool.map(lambda n: stores[n % 4].add_event(run, override(n)), range(1, 41)))
        kept = set(pool.map(lambda n: stores[n].save_answer(run, answer(code=n + 1, raw="")).code, range(4)))
    assert len(kept) == 1
    assert [record.seq for record in stores[1].events_since(run, 0)] == list(range(1, 41))
    assert stores[1].events(run)[0].when == WHEN
    assert stores[2].answers(run)[0].answered == WHEN
    stores[3].set_setting("x", {"y": None})
    stores[3].set_setting("x", {"y": 1})
    assert stores[0].get_setting("x") == {"y": 1}
    assert stores[2].finish_run(run, summary={"overall": 0.5}).summary == {"overall": 0.5}
    stores[1].delete_run(run)
    assert all(record.id != run for record in stores[0].runs())
    assert json.dumps(stores[0].get_setting("x")) == '{"y": 1}'
    for store in stores:
        store.close()
