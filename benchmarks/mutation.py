"""How many small changes of the code its tests notice: mutation testing of conversation, session and billing.

    .venv/bin/python -m benchmarks.mutation [--sample 200] [--seed 1] [--survivors]

mutmut changes one operator, constant, argument or condition at a time, and runs the tests that reach the changed
function: those of tests/conversation, tests/session and tests/billing that are not slow. A mutant is killed when one of
them fails or hangs, or when mypy, which is part of every test run, refuses it. The sample is drawn by the seed from all
mutants of the three folders, sorted by name. Log lines and `assert_never` are not changed: the first are no behaviour
that a session relies on, the second is mypy's. `--survivors` prints what was changed and not noticed.

mutmut is installed into an environment of its own, over the packages of this one. It works on a copy of the checkout in
the user's cache folder, so that its generated files never stand beside the code.

Last measured on 2026-12-01, seed 1: of 200 of 10,263 mutants 98.0 % killed, 67 by tests and 129 by mypy; conversation
100 %, session 96.2 %, billing 100 %.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import site
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
REQUIREMENT = "mutmut==3.8.1"
MUTATED = ("conversation", "session", "billing")
FIRST = "voice_trio.billing.usage.*__mutmut_1"
"""A few mutants: running them makes mutmut write all of them down."""
KILLED_BY_TYPES = 37
KILLED = frozenset({1, 3, 24, -24, 36, 152, 255, -9, -11, KILLED_BY_TYPES})
"""mutmut's exit codes of a mutant: a failed test, an internal error, a timeout, a crash, an error of types."""

# Each mutant is a copy of its function beside the original. So an attribute with a type annotation is defined several
# times, and a suppressed rule may be unused: these errors of mypy are not the mutants', and kill none. The test that
# runs mypy itself is left out.
CONFIGURATION = f"""
[tool.mutmut]
source_paths = ["voice_trio"]
only_mutate = {[f"voice_trio/{folder}/**" for folder in MUTATED]}
also_copy = ["benchmarks", "clients", "constraints.txt", "deploy", "docs", "examples", "scripts", "README.md"]
pytest_add_cli_args = [
  "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist", "--ignore=tests/conversation/test_routing.py"
]
pytest_add_cli_args_test_selection = {[f"tests/{folder}" for folder in MUTATED]}
type_check_command = [
  "PYTHON", "-m", "mypy", "--output=json", "--config-file=../mutants-mypy.ini",
  {", ".join(f'"voice_trio/{folder}"' for folder in MUTATED)}
]
do_not_mutate_patterns = ['log\\.(debug|info|warning|error|exception)\\(', 'assert_never']
use_git_change_detection = false
"""
TYPES_CONFIGURATION = """
[mypy]
strict = true
warn_unused_ignores = false
disable_error_code = no-redef, has-type, var-annotated
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    cache = user_cache_path("voice_trio-benchmarks", ensure_exists=True)
    commands = _install(cache / "mutation-env")
    mutmut = str(commands / "mutmut")
    copy = _copy_checkout(cache / "mutation", commands / "python")
    _run(mutmut, copy, [FIRST])
    names = sorted(_results(copy))
    sample = random.Random(options.seed).sample(names, min(options.sample, len(names)))
    _run(mutmut, copy, sample)
    results = _results(copy)
    _print_table({name: results[name] for name in sample}, len(names), options.seed)
    if options.survivors:
        for name in sorted(name for name in sample if results[name] not in KILLED):
            print(subprocess.run([mutmut, "show", name], cwd=copy, check=True, capture_output=True, text=True).stdout)
    return 0


def _install(folder: Path) -> Path:
    """The commands of an environment with mutmut and the packages of this one; it is made if it is not there."""
    stamp = folder / "requirement.txt"
    wanted = f"{REQUIREMENT} {sys.prefix}\n"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {REQUIREMENT} into {folder} (once)", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run(
            [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--quiet", REQUIREMENT], check=True
        )
        library = next((folder / "lib").glob("python*/site-packages"))
        (library / "packages-below.pth").write_text("\n".join(site.getsitepackages()) + "\n")
        stamp.write_text(wanted)
    return folder / "bin"


def _copy_checkout(folder: Path, python: Path) -> Path:
    """A fresh copy of the files under version control, with mutmut's configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    with (folder / "pyproject.toml").open("a") as project:
        project.write(CONFIGURATION.replace("PYTHON", str(python)))
    (folder / "mutants-mypy.ini").write_text(TYPES_CONFIGURATION)
    return folder


def _run(mutmut: str, copy: Path, names: list[str]) -> None:
    done = subprocess.run([mutmut, "run", "--max-children=2", *names], cwd=copy, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mutmut failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _results(copy: Path) -> dict[str, int | None]:
    """The exit code of each mutant's tests by its name; None for one that was not run."""
    results: dict[str, int | None] = {}
    for file in (copy / "mutants" / "voice_trio").rglob("*.meta"):
        results |= json.loads(file.read_text())["exit_code_by_key"]
    return results


def _print_table(results: dict[str, int | None], total: int, seed: int) -> None:
    print(f"{len(results)} of {total} mutants, seed {seed}")
    print(f"{'folder':<14}{'mutants':>8}{'by tests':>10}{'by types':>10}{'survived':>10}{'killed':>9}")
    for folder in (*MUTATED, "all"):
        codes = Counter(
            code for name, code in results.items() if folder == "all" or name.startswith(f"voice_trio.{folder}.")
        )
        mutants, by_types = codes.total(), codes[KILLED_BY_TYPES]
        killed = sum(count for code, count in codes.items() if code in KILLED)
        share = f"{killed / mutants:.1%}" if mutants else "-"
        print(f"{folder:<14}{mutants:>8}{killed - by_types:>10}{by_types:>10}{mutants - killed:>10}{share:>9}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="mutants to run")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--survivors", action="store_true", help="print the changes that no test noticed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
