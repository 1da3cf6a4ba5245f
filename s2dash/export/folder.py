"""A folder of results that is either the earlier set or the new one, never a mixture and never half a file.

Everything is written into a hidden staging folder inside the target, so on the same file system. Only when all of it
is on the disk are the files moved into place, one atomic rename each, with the earlier ones kept until the last has
arrived. A journal lets the next run complete a move that a crash cut short.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from s2dash.errors import OutputBusyError, OutputError
from s2dash.export.json_values import json_value

LOCK_NAME = ".s2dash.lock"
"""Held by the run that writes to a folder; names its process."""
STAGING_PREFIX = ".s2dash-staging-"
"""How the hidden folders begin in which results are prepared."""

_FORWARD, _BACK = "forward.json", "back.json"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_GDAL_WRITE = re.compile("write error|error writing|failed to write|no space left", re.IGNORECASE)
_UNTOUCHED = "Earlier results there are untouched."


@contextmanager
def output_folder(path: Path, *, owns: Iterable[str] = (), needed_bytes: int | None = None) -> Iterator[Path]:
    """Write a set of result files so that all of them appear, or none.

    The block writes into the folder it is given; subfolders are fine. On leaving without an exception every file is
    moved into `path`; on any exception, an interrupt included, `path` is as it was before.

    Args:
        path: Where the results go; made if it is not there. Files in it that the block does not write stay.
        owns: Names, relative to `path`, that belong to the same set: an earlier one that the block does not write
            again is removed, so that no result of another run stays beside the new ones.
        needed_bytes: About how much will be written, bytes, where known; checked before anything is done.

    Yields:
        The staging folder.

    Raises:
        OutputBusyError: If another run is writing to `path`.
        OutputError: If `path` is a file or cannot be written, or the disk is full.
    """
    folder = Path(path).absolute()
    made = _missing_folders(folder)
    done = False
    root: Path | None = None
    try:
        lock = _take_lock(folder)
    except BaseException:
        _remove_folders(made)
        raise
    try:
        try:
            for stale in sorted(folder.glob(f"{STAGING_PREFIX}*")):
                _recover(folder, stale)
            if needed_bytes is not None:
                check_space(folder, needed_bytes)
            root = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=folder))
            (root / "new").mkdir()
        except OSError as error:
            raise _output_error(folder, error) from error
        try:
            yield root / "new"
        except OutputError as error:  # a person knows nothing of the staging folder
            raise OutputError(str(error).replace(str(root / "new"), str(folder))) from error
        except Exception as error:
            if _is_about(error, root):
                raise _output_error(folder, error, root=root, needed=needed_bytes) from error
            raise
        try:
            _commit(folder, root, owns=frozenset(owns))
        except OSError as error:
            raise _output_error(folder, error, root=root, needed=needed_bytes) from error
        done = True
    finally:
        # A journal that is still there means that moving back failed: the earlier files are in the staging folder.
        if root is not None and not _journal(root):
            shutil.rmtree(root, ignore_errors=True)
        _release_lock(folder, lock)
        if not done:
            _remove_folders(made)


def check_space(path: Path, needed_bytes: int) -> None:
    """See that the disk has room.

    Args:
        path: A file or folder that will be written; need not be there.
        needed_bytes: How much, bytes.

    Raises:
        OutputError: If fewer bytes are free; the text holds both numbers.
    """
    place = Path(path).absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise OutputError(f"Cannot see how much room the disk of {path} has: {error.strerror}.") from error
    if free < needed_bytes:
        raise OutputError(
            f"The disk of {path} has too little room: about {_size(needed_bytes)} needed, {_size(free)} free. "
            "Free some space, or choose another folder."
        )


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that is never half-written: UTF-8, keys in the order given, indented.

    Args:
        path: The file; an earlier one is replaced at once.
        value: What `json_value` takes.

    Raises:
        OutputError: If the value holds NaN, infinity or an object without a JSON form, or the file cannot be written.
    """
    path = Path(path)
    text = json.dumps(json_value(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # Undecodable bytes of a file name are lone surrogates in Python; their escape is valid JSON.
        with draft.open("xb") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _missing_folders(folder: Path) -> list[Path]:
    """Which folders will have to be made, the innermost first."""
    try:
        return [place for place in (folder, *folder.parents) if not place.exists()]
    except (OSError, ValueError) as error:
        raise _output_error(folder, error) from error


def _remove_folders(made: Iterable[Path]) -> None:
    """Remove the folders that were made, as far as they are empty."""
    for place in made:
        with suppress(OSError, ValueError):
            place.rmdir()


def _take_lock(folder: Path) -> int:
    """Lock the folder, making it where needed; the descriptor of the lock file.

    A lock dies with its process, so one left by a crash never blocks. The file is removed by its holder; whoever
    opened it meanwhile has locked a file that is no longer there, and tries again.
    """
    path = folder / LOCK_NAME
    for _ in range(1000):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # removed between the two calls by the run that made it
            continue
        except (OSError, ValueError) as error:
            raise _output_error(folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                _sign_lock(folder, lock)
                return lock
            os.close(lock)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "number unknown"
            os.close(lock)
            raise OutputBusyError(
                f"Another run (process {holder}) is writing to {folder}. "
                "Wait until it is done, stop it, or choose another folder."
            ) from None
        except FileNotFoundError:
            os.close(lock)
        except OSError as error:
            with suppress(OSError):
                os.close(lock)
            raise _output_error(folder, error) from error
    raise OutputError(f"The folder {folder} cannot be made or locked. Choose another folder.")


def _sign_lock(folder: Path, lock: int) -> None:
    """Write into a lock which process holds it; give it back where a full disk does not take even that."""
    try:
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except OSError:
        _release_lock(folder, lock)
        raise


def _release_lock(folder: Path, lock: int) -> None:
    with suppress(OSError):
        (folder / LOCK_NAME).unlink()
    fcntl.flock(lock, fcntl.LOCK_UN)  # closing alone would leave it with a forked child
    os.close(lock)


def _commit(folder: Path, root: Path, *, owns: frozenset[str]) -> None:
    """Move what is staged into place, or leave everything as it was."""
    new = root / "new"
    staged = sorted(item for item in new.rglob("*") if item.is_symlink() or not item.is_dir())
    if not staged:
        return
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in owns):
        raise OutputError(f"A result lies inside its folder; {sorted(owns)} names one that does not.")
    for item in staged:
        target = folder / item.relative_to(new)
        if item.is_symlink() or not item.is_file():
            raise OutputError(f"{item.name} is not a plain file and cannot be a result.")
        blocking = [place for place in target.parents if place.is_relative_to(folder) and place.is_file()]
        if target.is_dir() or blocking:
            raise OutputError(
                f"{blocking[0] if blocking else target} is in the way of a result of the same name. "
                "Move it away, or choose another folder."
            )
        _sync(item)
    for place in (new, *(item for item in new.rglob("*") if item.is_dir())):
        _sync(place)
    files = [str(item.relative_to(new)) for item in staged]
    parents = {place for name in files for place in (folder / name).parents if place.is_relative_to(folder)}
    journal = {
        "files": files,
        "created": [name for name in files if not os.path.lexists(folder / name)],
        "removed": sorted(name for name in owns.difference(files) if (folder / name).is_file()),
        "folders": sorted((str(place) for place in parents if not place.exists()), key=len, reverse=True),
    }
    try:
        write_json(root / _FORWARD, journal)
        _sync(root)
        _move_forward(folder, root, journal)
        (root / _FORWARD).unlink()
    except BaseException:
        if (root / _FORWARD).exists():
            (root / _FORWARD).replace(root / _BACK)  # needs no room, unlike writing it
            _move_back(folder, root, journal)
        raise


def _move_forward(folder: Path, root: Path, journal: dict[str, list[str]]) -> None:
    """Place every staged file; may be done again after a crash in the middle."""
    for name in journal["files"]:
        staged, target = root / "new" / name, folder / name
        if not staged.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _keep(target, root / "old" / name)
        staged.replace(target)
    for name in journal["removed"]:
        _keep(folder / name, root / "old" / name)
        (folder / name).unlink(missing_ok=True)
    for place in {(folder / name).parent for name in (*journal["files"], *journal["removed"])}:
        _sync(place)


def _move_back(folder: Path, root: Path, journal: dict[str, list[str]]) -> None:
    """Put every earlier file back; may be done again after a crash in the middle."""
    for name in (*journal["files"], *journal["removed"]):
        kept = root / "old" / name
        if os.path.lexists(kept):
            kept.replace(folder / name)
        elif name in journal["created"]:
            (folder / name).unlink(missing_ok=True)
    for place in journal["folders"]:
        with suppress(OSError):
            Path(place).rmdir()
    _sync(folder)
    (root / _BACK).unlink()


def _keep(target: Path, kept: Path) -> None:
    """Remember an earlier file, without a moment in which it is not in its place where the disk knows hard links."""
    if not os.path.lexists(target) or os.path.lexists(kept):
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(target, kept, follow_symlinks=False)
    except OSError:
        target.rename(kept)


def _recover(folder: Path, stale: Path) -> None:
    """Complete or undo what a crashed run was moving, and clear its staging folder."""
    if stale.is_symlink() or not stale.is_dir():
        stale.unlink()
        return
    journal = _journal(stale)
    if journal:
        content = json.loads(journal.read_text("utf-8"))
        if journal.name == _FORWARD:
            _move_forward(folder, stale, content)
            journal.unlink()
        else:
            _move_back(folder, stale, content)
    shutil.rmtree(stale)


def _journal(root: Path) -> Path | None:
    return next((root / name for name in (_FORWARD, _BACK) if (root / name).exists()), None)


def _sync(path: Path) -> None:
    """Have a file or folder on the disk before going on; here a full disk shows at the latest."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network disks cannot sync a folder
            raise
    finally:
        os.close(handle)


def _is_about(error: Exception, root: Path) -> bool:
    """Whether an exception of the block comes from writing into the staging folder, and not from the work itself."""
    if isinstance(error, OSError) and error.errno is not None:
        names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
        return error.errno in _FULL or any(Path(os.fsdecode(name)).is_relative_to(root) for name in names)
    # GDAL has errors of its own kind, with no number: what a full disk was is only in the words.
    return type(error).__module__.startswith("rasterio") and _GDAL_WRITE.search(str(error)) is not None


def _output_error(path: Path, error: Exception, *, root: Path | None = None, needed: int | None = None) -> OutputError:
    """The failure in words, with what to do."""
    number = error.errno if isinstance(error, OSError) else None
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if number in _FULL or (number is None and root is not None):
        facts = [f"about {_size(needed)} needed"] if needed is not None else []
        with suppress(OSError):
            if root is not None:
                facts.append(f"{_size(sum(item.lstat().st_size for item in root.rglob('*')))} written")
            facts.append(f"{_size(shutil.disk_usage(root or path.parent).free)} free")
        what = f"The disk of {path} is full" if number in _FULL else f"{path} cannot be written, its disk may be full"
        said = "" if number in _FULL else f": {why}"
        room = f" ({', '.join(facts)})" if facts else ""
        return OutputError(f"{what}{room}{said}. {_UNTOUCHED} Free some space, or choose another folder.")
    if number in {errno.EEXIST, errno.ENOTDIR}:
        return OutputError(f"{path} is not a folder, or lies under a file: {why}. Choose another folder.")
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return OutputError(
            f"{path} cannot be written: {why}. {_UNTOUCHED} Change its rights, or choose another folder."
        )
    return OutputError(f"{path!s} cannot be written: {why}. {_UNTOUCHED} Choose another folder.")


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
