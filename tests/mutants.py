"""Change one thing at a time in a pure package; where the tests do not notice, say so.

`python -m tests.mutants FILE... --tests PATH... [--seed 1] [--at-most N] [--out docs/evidence/...]`

Changed are comparisons at their boundary, connectives, arithmetic, constants, conditional expressions,
extremes and quantifiers (min, any, ...), and the named comparisons of gates, checks and triggers (AT_LEAST,
below, ...); annotations and decorators are left alone. The work is done in a
copy of the tree. What was judged is remembered in `mutants/judged.jsonl`, so a run may be stopped and
started again: a killed mutant is not judged anew while its file is the same, a survivor not while the tests
are too.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / "mutants" / "judged.jsonl"
LEFT_OUT = (".*", "__pycache__", "mutants", "build", "dist", "*.egg-info")
PYTEST = ("-q", "-x", "-m", "not check", "-p", "no:randomly", "-p", "no:cacheprovider", "--assert=plain")

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.USub: ast.UAdd,
}
CALLS = {"min": "max", "any": "all", "minimum": "maximum", "argmin": "argmax", "floor": "ceil"}
CALLS |= {new: old for old, new in CALLS.items()}
COMPARED = {  # by the functions of the gates and checks, and the rules of the triggers
    "below": ("at_most", "at_least"),
    "at_most": ("below", "above"),
    "above": ("at_least", "at_most"),
    "at_least": ("above", "at_most"),
}
COMPARED |= {old.upper(): tuple(name.upper() for name in new) for old, new in COMPARED.items()}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one file, and the whole text of the file with it."""

    file: str
    line: int
    change: str
    source_line: str
    text: str

    @property
    def key(self) -> str:
        """Return what names the mutant among all those of this version of the file."""
        return f"{self.file}:{self.line} {hashlib.sha256(self.text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A mutant's fate; `tests` is the digest of the tests that judged it."""

    key: str
    source: str
    tests: str
    killed: bool


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield every change of a node: the attribute and its new value."""
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                for new in COMPARISONS[type(op)]:
                    yield "ops", [*ops[:at], new(), *ops[at + 1 :]]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "operand", ast.UnaryOp(ast.Not(), operand)
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.UnaryOp(op=op):
            if type(op) in OPERATORS:
                yield "op", OPERATORS[type(op)]()
        case ast.Constant(value=bool(value)):
            yield "value", not value
        case ast.Constant(value=int(value) | float(value)):
            yield "value", value + 1
            yield "value", value - 1 if isinstance(value, int) else value * 1.01
        case ast.IfExp(test=test):
            yield "test", ast.UnaryOp(ast.Not(), test)
        case ast.Call() | ast.Name():
            yield from _others(node)


def _others(node: ast.Call | ast.Name) -> Iterator[tuple[str, Any]]:
    """Yield the names that could stand in the place of a name."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if name in COMPARED:
            for other in COMPARED[name]:
                yield "id", other
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield "func", ast.Name(CALLS[name], ast.Load())
        case ast.Call(func=ast.Attribute(value=of, attr=name)) if name in CALLS:
            yield "func", ast.Attribute(of, CALLS[name], ast.Load())


def _left_alone(tree: ast.AST) -> set[ast.AST]:
    """Return the nodes of decorators and annotations."""
    roots: list[ast.AST] = []
    for node in ast.walk(tree):
        roots += getattr(node, "decorator_list", [])
        roots += [told for name in ("annotation", "returns") if (told := getattr(node, name, None))]
    return {node for root in roots for node in ast.walk(root)}


def _brought_in(tree: ast.AST, old: str, new: str) -> list[ast.alias] | None:
    """Return the import that must name `new` beside `old`, [] where it is known, None where it cannot be."""
    known: set[str] = set()
    offered: list[ast.alias] | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            known.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            known.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            known |= names
            source = ROOT / f"{(node.module or '').replace('.', '/')}.py"
            if old in names and source.is_file():
                defined = re.search(rf"^(def )?{new}\b", source.read_text(), re.MULTILINE)
                offered = node.names if defined else None
    return [] if new in known else offered


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file, line by line."""
    source = (ROOT / file).read_text()
    tree = ast.parse(source)
    left_alone, unchanged = _left_alone(tree), ast.unparse(tree)
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        for name, new in () if node in left_alone else tuple(changes(node)):
            old, before = getattr(node, name), ast.unparse(node)
            imported = _brought_in(tree, old, new) if name == "id" else []
            if imported is None:
                continue
            setattr(node, name, new)
            imported.append(ast.alias(new))
            text, after = ast.unparse(tree), ast.unparse(node)
            imported.pop()
            setattr(node, name, old)
            if text != unchanged:
                line = node.lineno  # type: ignore[attr-defined]  # a node that changes has one
                yield Mutant(file, line, f"{before} → {after}", source.splitlines()[line - 1].strip(), text)


class Judge:
    """Runs the tests in forks of one warm process that stands in a copy of the tree."""

    def __init__(self, copy: Path, tests: Sequence[str]) -> None:
        self._copy, self._tests, self._limit_s = copy, tests, 600.0
        os.environ.setdefault("REGIMED_DATA", str(ROOT.parent / "shared" / "data"))
        os.chdir(copy)
        sys.path[0], sys.dont_write_bytecode = str(copy), True
        sys.modules.pop("tests", None)
        failed, _ = self._notice()
        self._warm()
        failed_warm, used_s = self._notice()
        if failed or failed_warm:
            raise SystemExit("the tests fail without any change")
        self._limit_s = 5 + 3 * used_s

    def kills(self, mutant: Mutant) -> bool:
        """Return whether a test fails, or hangs, with the change."""
        target = self._copy / mutant.file
        unchanged = target.read_bytes()
        target.write_text(mutant.text)
        try:
            return self._notice()[0]
        finally:
            target.write_bytes(unchanged)

    def _warm(self) -> None:
        """Import what the tests imported from elsewhere; our own code is read anew in every fork."""
        ours = {path.stem for path in self._copy.iterdir()}
        for name in (self._copy / "imported").read_text().split():
            if name.partition(".")[0] not in ours:
                with suppress(ImportError):
                    importlib.import_module(name)

    def _notice(self) -> tuple[bool, float]:
        """Return whether a test failed or hung, and the seconds of processor used: load does not count."""
        child = os.fork()
        if child:
            _, status, used = os.wait4(child, 0)
            return status != 0, used.ru_utime + used.ru_stime
        signal.setitimer(signal.ITIMER_PROF, self._limit_s)  # one that only waits is ended by pytest-timeout
        code = 1
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            code = int(_run(self._tests))
            (self._copy / "imported").write_text("\n".join(sys.modules))
        finally:
            os._exit(code)


def _run(tests: Sequence[str]) -> int:
    import hypothesis
    import pytest

    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=40,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),  # a failure need not be shrunk
    )
    return pytest.main([*PYTEST, "--hypothesis-profile=mutants", "-W", "ignore", *tests])


def digest(paths: Sequence[str]) -> str:
    """Return a digest of the Python files under these paths; a path may name one test after `::`."""
    roots = [ROOT / path.partition("::")[0] for path in paths]
    files = [file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*.py")))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def remembered() -> dict[str, Judged]:
    """Return the newest judgement of every mutant, by its key."""
    lines = STATE.read_text().splitlines() if STATE.is_file() else []
    return {judged.key: judged for judged in (Judged(**json.loads(line)) for line in lines)}


def judge(found: Sequence[Mutant], tests: Sequence[str]) -> Iterator[tuple[Mutant, bool]]:
    """Yield every mutant and whether it was killed, from memory where nothing has changed since."""
    known, by = remembered(), digest(tests)
    sources = {file: digest([file]) for file in {mutant.file for mutant in found}}
    STATE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, STATE.open("a") as state:
        copy = shutil.copytree(ROOT, Path(folder) / "tree", ignore=shutil.ignore_patterns(*LEFT_OUT))
        judge = Judge(copy, tests)
        for mutant in found:
            before, source = known.get(mutant.key), sources[mutant.file]
            if before is None or before.source != source or not (before.killed or before.tests == by):
                before = Judged(mutant.key, source, by, judge.kills(mutant))
                state.write(json.dumps(asdict(before)) + "\n")
                state.flush()
            yield mutant, before.killed


def report(judged: Sequence[tuple[Mutant, bool]]) -> str:
    """Return the figures of every file as a table, and the survivors as a list."""
    lines = ["| file | mutants | killed | survived |", "| --- | --- | --- | --- |"]
    for file in dict.fromkeys(mutant.file for mutant, _ in judged):
        killed = [was for mutant, was in judged if mutant.file == file]
        lines.append(f"| {file} | {len(killed)} | {sum(killed)} | {len(killed) - sum(killed)} |")
    survivors = [mutant for mutant, killed in judged if not killed]
    lines += [
        "",
        *(f"- {each.file}:{each.line} `{each.change}` in `{each.source_line}`" for each in survivors),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Judge the mutants of the files named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--tests", nargs="+", required=True, metavar="PATH")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--at-most", type=int, metavar="N", help="judge a sample of N mutants")
    parser.add_argument("--out", type=Path, help="also write the report here")
    told = parser.parse_args()
    found = [mutant for file in told.files for mutant in mutants(file)]
    if told.at_most is not None and told.at_most < len(found):
        chosen = random.Random(told.seed).sample(range(len(found)), told.at_most)
        found = [found[at] for at in sorted(chosen)]
    out = None if told.out is None else told.out.resolve()
    text = report(list(judge(found, told.tests)))
    sys.stdout.write(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)


if __name__ == "__main__":
    main()
