# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The library as a plain package: whole at any moment, usable without Ansible, gone without a trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.edge.cloud.plugins.module_utils._host.library import Library, digest_of, pack, unpack
from support.processes import LIBRARY, python
from support.waiting import LIMIT

TREE = Path(__file__).parents[5]
SOURCE = TREE / "plugins/module_utils"
EDGE_HOST = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path and "dist-packages" not in path]
sys.path.insert(0, sys.argv.pop(1))
from edge_cloud._host.cli import main
sys.exit(main())
"""
KILLED = """
import json, os, signal, sys
from pathlib import Path
from LIBRARY._host.library import Library, digest_of

root, files, call = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])

def watch(event, args):
    global call
    if event in {"os.rename", "os.remove", "os.mkdir", "os.symlink", "os.chmod", "os.rmdir"}:
        call -= 1
        if call == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
library = Library(root)
for step in library.plan(digest_of(files)).steps:
    library.apply(step, files)
"""


def install(root: Path, files: dict[str, str]) -> Library:
    library = Library(root)
    for step in library.plan(digest_of(files)).steps:
        library.apply(step, files)
    return library


def test_the_same_files_travel_as_the_same_text() -> None:
    assert pack(SOURCE) == pack(SOURCE)
    assert set(unpack(pack(SOURCE))) == {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py")}


@pytest.mark.parametrize("text", ["", "no base64!", "aGVsbG8="])
def test_what_is_no_archive_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="archive of the library"):
        unpack(text)


@pytest.mark.parametrize("name", ["../x.py", "/etc/x.py", "a/../../x.py", "x.sh", "a//x.py"])
def test_an_archive_cannot_lead_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import zlib

    with pytest.raises(InvalidInput, match="Python files below a folder only"):
        unpack(base64.b64encode(zlib.compress(json.dumps({name: "x"}).encode())).decode())


def test_a_host_runs_it_without_ansible(tmp_path: Path) -> None:
    root = tmp_path / "edge"
    install(root, unpack(pack(SOURCE)))
    config = tmp_path / "cluster.json"
    config.write_text(json.dumps({"name": "site1", "host": "edge1", "images": {"root": str(tmp_path / "images")}}))
    argv = ["/usr/bin/python3", "-IBc", EDGE_HOST, str(root / "current"), "--config", str(config)]
    for verb in ("config", "gc", "scrub", "cache"):
        done = subprocess.run([*argv, verb], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert isinstance(json.loads(done.stdout), dict)


def test_install_again_change_repair_remove(tmp_path: Path) -> None:
    root = tmp_path / "edge"
    one, two, three = ({"a.py": f"x = {number}\n", "_b/c.py": ""} for number in range(3))
    library = install(root, one)
    assert not library.plan(digest_of(one)).changed
    install(root, two)
    install(root, three)
    assert {path.name for path in root.iterdir()} == {"current", digest_of(two), digest_of(three)}, "the one before stays"
    assert (root / "current/edge_cloud/a.py").read_text() == "x = 2\n"
    (root / "current/edge_cloud/a.py").write_text("x = 9\n")
    assert not library.observe(digest_of(three)).whole
    install(root, three)
    assert library.observe(digest_of(three)).whole
    (root / "mine").touch()
    with pytest.raises(Refused, match="'mine'"):
        library.plan_absent()
    (root / "mine").unlink()
    for step in library.plan_absent().steps:
        library.apply(step, three)
    assert not root.exists()
    assert not library.plan_absent().changed


def test_killed_at_any_step_one_state_is_whole(tmp_path: Path) -> None:
    one, two = ({"a.py": f"x = {number}\n", "b.py": f"x = {number}\n"} for number in (1, 2))
    for call in range(1, 100):
        root = tmp_path / str(call)
        library = install(root, one)
        process = python(KILLED, root, json.dumps(two), call)
        ended = process.wait(LIMIT)
        texts = {(root / "current/edge_cloud" / name).read_text() for name in ("a.py", "b.py")}
        assert texts in ({"x = 1\n"}, {"x = 2\n"}), "a mixture"
        install(root, two)
        assert (library.observe(digest_of(two)).version, library.observe(digest_of(two)).whole) == (digest_of(two), True)
        if ended == 0:
            break
    assert ended == 0
    assert call > 5


ELSEWHERE = """
import json, locale, os, sys
from pathlib import Path
from LIBRARY._host.library import Install, Library, digest_of

assert locale.getencoding() != "utf-8"
os.umask(0o077)
synced, fsync = [], os.fsync
os.fsync = lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), fsync(handle))
files = json.loads(sys.argv[2])
Library(Path(sys.argv[1])).apply(Install(digest_of(files)), files)
print(json.dumps(synced))
"""


def test_neither_umask_nor_locale_of_the_user_counts_and_all_is_on_the_disk_before_its_name(tmp_path: Path) -> None:
    root, files = tmp_path / "edge", {"_a/b.py": "x = 'ü → 1'\n"}
    environment = {"PYTHONPATH": str(TREE / "collections"), "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv = [sys.executable, "-c", ELSEWHERE.replace("LIBRARY", LIBRARY), str(root), json.dumps(files)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    whole = root / digest_of(files)
    assert (whole / "edge_cloud/_a/b.py").read_text(encoding="utf-8") == files["_a/b.py"]
    assert {path.stat().st_mode & 0o777 for path in (root, whole, *whole.rglob("*")) if path.is_dir()} == {0o755}
    work = root / f".{whole.name}.new"
    assert {work, work / "edge_cloud", work / "edge_cloud/_a", work / "edge_cloud/_a/b.py"} <= set(
        map(Path, json.loads(done.stdout))
    )
