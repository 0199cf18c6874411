"""What a check of a data set came to: as JSON, and the folder that it is written into."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchinception.data.findings import Finding
from torchinception.errors import SaveError, UsageError
from torchinception.files import write_atomically

RECORD = "check.json"
KIND = "torchinception data check, version 1"


@dataclass(frozen=True)
class Checked:
    """What was found; `splits` are those that pictures were found in, `counts` has (split, class) of readable ones."""

    data: str
    out: Path
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    counts: Counter[tuple[str, str]]
    formats: Counter[str]
    median_px: tuple[int, int]
    sheets: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.error for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        return {
            "kind": KIND,
            "data": self.data,
            "pictures": self.counts.total(),
            "formats": dict(self.formats.most_common()),
            "median_px": list(self.median_px),
            "classes": {
                name: {
                    "pictures": {split: self.counts[split, name] for split in self.splits},
                    "sheet": self.sheets.get(name),
                }
                for name in self.classes
            },
            "findings": [
                {
                    "kind": finding.kind,
                    "level": "error" if finding.error else "remark",
                    "what": finding.what,
                    "advice": finding.advice,
                    "count": len(finding.items),
                    "items": [item._asdict() for item in finding.items],
                }
                for finding in self.findings
            ],
        }


def claim(out: Path, folders: Iterable[Path]) -> set[str]:
    """Make a folder outside the data's `folders`, or take that of an earlier check; nothing else may be in it.

    Returns:
        The earlier check's sheets, which may be replaced.

    Raises:
        UsageError: `out` is inside the data, or holds other files.
        SaveError: it cannot be written.
    """
    if {out.resolve(), *out.resolve().parents} & {folder.resolve() for folder in folders}:
        raise UsageError(f"{out} is inside the data, which is never written to; choose another --out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        sheets = _sheets_of(out / RECORD) if RECORD in names else None
    except OSError as error:
        raise SaveError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    known = set() if sheets is None else {RECORD, *sheets}
    other = next((name for name in names if name not in known), None)
    if other:
        raise UsageError(f"{out} holds {other}, which is not of an earlier check; move it, or choose another --out")
    return sheets or set()


def _sheets_of(record: Path) -> set[str] | None:
    """Of an earlier check's record; nothing if it is not one."""
    try:
        old = json.loads(record.read_bytes())
        sheets = {one["sheet"] for one in old["classes"].values() if one["sheet"]} if old["kind"] == KIND else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return sheets


def write(checked: Checked, old: set[str], sheets: Iterable[tuple[str, bytes]]) -> None:
    """The record first, so that a check that is stopped here leaves no sheet that the next would not know."""
    try:
        for path in checked.out.iterdir():
            if path.name in old - {*checked.sheets.values()}:
                path.unlink()
    except OSError as error:
        raise SaveError(f"cannot replace the earlier check in {checked.out}: {error.strerror}") from error
    write_atomically(checked.out / RECORD, json.dumps(checked.record(), indent=1))
    for name, sheet in sheets:
        write_atomically(checked.out / name, sheet)
