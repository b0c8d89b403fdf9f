"""The wheel holds what a user needs: every module, every scenario file, every template."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("*.py", "*.toml", "*.json", "*.html", "*.j2", "*.css")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel from a copy of the tracked files and return the names in it."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for name in ("server", "netns", "scenarios", "harness", "src", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-a", ROOT / name, source / name], check=True)
    subprocess.run(["rm", "-rf", *source.glob("src/*.egg-info")], check=True)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, place], check=False, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = place.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_wheel_holds_every_module_and_data_file(wheel: set[str]) -> None:
    """A checkout without symbolic links would otherwise give an empty wheel in silence."""
    missing = []
    for room in ("server", "netns", "scenarios", "harness"):
        for pattern in SHIPPED:
            missing += [
                f"canet/{path.relative_to(ROOT)}"
                for path in (ROOT / room).rglob(pattern)
                if f"canet/{path.relative_to(ROOT)}" not in wheel
            ]
    assert missing == []
    assert "canet/py.typed" in wheel
