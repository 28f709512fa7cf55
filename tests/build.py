"""Builds the wheel and the sdist twice, and checks them; run by `tox -e package`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
#: What git has and nobody needs who unpacks the sdist.
LEFT_OUT = ".ci/"


def build(source: Path, into: Path, **environment: str) -> dict[str, Path]:
    """The packages built of a folder, by the ends of their names."""
    command = [sys.executable, "-m", "build", "--outdir", str(into), str(source)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    return {path.suffix: path for path in into.iterdir()}


def unpacked(sdist: Path, into: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def differ(found: set[str], expected: set[str], what: Path) -> None:
    missing, junk = sorted(expected - found), sorted(found - expected)
    assert not missing, f"{what.name} lacks {missing}"
    assert not junk, f"{what.name} has {junk}, which does not belong in it"


def check_sdist(sdist: Path) -> None:
    """It has every file of the repository, and no other."""
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    tracked = {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    differ(found, {name for name in tracked if not name.startswith(LEFT_OUT)} | {"PKG-INFO"}, sdist)


def check_wheel(wheel: Path, source: Path) -> None:
    """It has every file of the package, and what installers ask for."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (source / "exetera_zarr").rglob("*") if path.is_file())
    differ(found, {path.relative_to(source).as_posix() for path in files}, wheel)


def main(into: Path) -> None:
    with TemporaryDirectory() as folder:
        first = build(ROOT, Path(folder) / "first")
        source = unpacked(first[".gz"], Path(folder) / "source")
        # Elsewhere, of other files: whoever has the sdist builds the same packages.
        again = build(source, Path(folder) / "again", TZ="Asia/Tokyo", PYTHONHASHSEED="1")
        for kind, path in first.items():
            assert digest(path) == digest(again[kind]), (
                f"{path.name} differs when it is built again"
            )
        check_wheel(first[".whl"], source)
        if (ROOT / ".git").exists():
            check_sdist(first[".gz"])
        paths = [str(path) for path in first.values()]
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *paths], check=True)
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        for path in first.values():
            sys.stdout.write(f"{digest(path)}  {shutil.copy(path, into)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
