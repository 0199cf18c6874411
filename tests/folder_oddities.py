"""Odd folders and what comes of each. `python tests/folder_oddities.py` prints them as a table in Markdown."""

import os
import shutil
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from data_fixtures import encode, noise, write_classes

ROOT = os.getuid() == 0 if hasattr(os, "getuid") else False
PLAIN = {"a/000.png": "a", "a/001.png": "a", "b/000.png": "b", "b/001.png": "b"}
SPLIT = {f"{split}/{path}": name for split in ("train", "val") for path, name in PLAIN.items()}
NFC, NFD = (unicodedata.normalize(form, "käfer") for form in ("NFC", "NFD"))
RTL, EMOJI, LONG = "وردة", "👩‍🌾🌹", "猫" * 85  # of 255 bytes
NO_TEXT = os.fsdecode(b"caf\xe9")


class Oddity(NamedTuple):
    """What is done to a folder of two classes of two pictures, and what comes of it."""

    do: Callable[[Path], object]
    result: str  # in words; of an error a part of its text
    pictures: dict[str, str] | None = None  # path -> class; None: an error
    said: str = ""
    base: dict[str, str] = PLAIN
    skip: str = ""


def put(*names: str) -> Callable[[Path], object]:
    """More pictures, each at a path."""

    def do(root: Path) -> None:
        for number, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(encode(noise(900 + number)))

    return do


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def link(name: str, target: str) -> Callable[[Path], object]:
    return lambda root: (root / name).symlink_to(root / target if not target.startswith("/") else target)


def node(name: str, kind: int) -> Callable[[Path], object]:
    return lambda root: os.mknod(root / name, kind | 0o600, os.makedev(1, 3))  # if a device, that of /dev/null


def move(name: str, target: str) -> Callable[[Path], object]:
    def do(root: Path) -> None:
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(root / name, root / target)

    return do


def every(*steps: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [step(root) for step in steps]


def outside(root: Path) -> None:
    """A folder beside the data."""
    write_classes(root.parent, beside=1)


def plus(*names: str, base: dict[str, str] = PLAIN, **classes: str) -> dict[str, str]:
    """Those of the base and these, each in the class that its first folder names."""
    return base | {name: classes.get("of") or name.split("/")[0] for name in names}


def without(folder: str, base: dict[str, str] = PLAIN) -> dict[str, str]:
    return {path: name for path, name in base.items() if not path.startswith(folder)}


def moved(old: str, new: str) -> dict[str, str]:
    return {path.replace(f"{old}/", f"{new}/"): name.replace(old, new) for path, name in PLAIN.items()}


def ignored(name: str) -> Oddity:
    return Oddity(put(name), "ignored", PLAIN)


def read(do: Callable[[Path], object], pictures: dict[str, str], words: str = "read") -> Oddity:
    return Oddity(do, words, pictures)


ODDITIES: dict[str, Oddity] = {
    "an empty folder": Oddity(shutil.rmtree, "no pictures in data", base={}),
    "empty folders only": Oddity(
        lambda root: [shutil.rmtree(root / name) or (root / name).mkdir() for name in "ab"], "no pictures in data"
    ),
    "pictures, but no folders": Oddity(
        every(lambda root: [shutil.rmtree(root / name) for name in "ab"], put("1.png", "2.png")),
        "data holds files but no folders; expected one folder of pictures per class, as data/roses/a.jpg. "
        "inception predict takes such a folder",
    ),
    "pictures beside the class folders": Oddity(put("1.png"), "data/1.png: outside any class folder"),
    "a single class": Oddity(lambda root: shutil.rmtree(root / "b"), "training needs at least two folders"),
    "one folder that holds the class folders": Oddity(
        every(move("a", "flowers/a"), move("b", "flowers/b")),
        "data/flowers holds folders (a, b); if those are the classes or splits, give data/flowers",
    ),
    "train and val one folder too deep": Oddity(
        every(move("train", "flowers/train"), move("val", "flowers/val")),
        "data/flowers holds folders (train, val); if those are the classes or splits, give data/flowers",
        base=SPLIT,
    ),
    "class folders one folder too deep in train": Oddity(
        every(move("a", "train/flowers/a"), move("b", "train/flowers/b")),
        "data/train/flowers holds folders (a, b); if those are the classes or splits, move them into data/train",
    ),
    "folders in a class folder": read(put("a/2024/may/1.png"), plus("a/2024/may/1.png"), "part of the class"),
    "folders in a class folder, 100 deep": read(put("a/" + "d/" * 100 + "1.png"), plus("a/" + "d/" * 100 + "1.png")),
    "an empty class folder": Oddity(lambda root: (root / "c").mkdir(), "class c in data has no pictures to train on"),
    "a class of one picture": Oddity(put("c/1.png"), "class c has one distinct picture"),
    "train without val": Oddity(
        every(move("a", "train/a"), move("b", "train/b")),
        "a tenth is held out",
        {f"train/{path}": name for path, name in PLAIN.items()},
    ),
    "val without train": Oddity(every(move("a", "val/a"), move("b", "val/b")), "has val but no train"),
    "a class that val lacks": Oddity(
        lambda root: shutil.rmtree(root / "val" / "b"),
        "read, and told",
        without("val/b", SPLIT),
        said="val has no pictures of b",
        base=SPLIT,
    ),
    "a class that train lacks": Oddity(put("val/c/1.png"), "class c in data has no pictures to train on", base=SPLIT),
    "an empty val": Oddity(
        lambda root: [shutil.rmtree(root / "val") or (root / "val").mkdir()], "no pictures in val of data", base=SPLIT
    ),
    "valid and validation": Oddity(
        every(move("val", "valid"), put("validation/a/1.png")),
        "data has both valid and validation, for one split",
        base=SPLIT,
    ),
    "train and Train": Oddity(put("Train/a/1.png"), "data has both Train and train, for one split", base=SPLIT),
    "VAL in capitals": Oddity(
        move("val", "VAL"), "read", {p.replace("val", "VAL"): name for p, name in SPLIT.items()}, base=SPLIT
    ),
    "a folder beside train": Oddity(put("roses/1.png"), "data/roses: outside any class folder", base=SPLIT),
    "a class named train": Oddity(put("train/1.png"), "(train was read as a split, not as a class)"),
    "shards beside class folders": Oddity(write("1.tar", b""), "holds shards (1.tar) and besides a"),
    "a hidden file": ignored("a/.1.png"),
    "a hidden folder in a class folder": ignored("a/.thumbnails/1.png"),
    "a hidden folder beside the classes": ignored(".git/1.png"),
    ".DS_Store": Oddity(write("a/.DS_Store", b"left by macOS"), "ignored", PLAIN),
    "._x.jpg": Oddity(write("a/._x.jpg", b"left by macOS"), "ignored", PLAIN),
    "Thumbs.db": Oddity(write("a/Thumbs.db", b"left by Windows"), "ignored", PLAIN),
    "desktop.ini": Oddity(write("desktop.ini", b"left by Windows"), "ignored", PLAIN),
    "__MACOSX": ignored("__MACOSX/a/1.png"),
    "@eaDir": ignored("a/@eaDir/1.png"),
    "two classes that differ by the form of Unicode": Oddity(
        put(f"{NFC}/1.png", f"{NFD}/1.png"), "classes 'ka\\u0308fer' and 'k\\xe4fer' in data have names that look alike"
    ),
    "two classes that differ by case": Oddity(
        put("Roses/1.png", "roses/1.png"), "classes 'Roses' and 'roses' in data have names that look alike"
    ),
    "two classes that differ by case, one of them in val": Oddity(
        put("train/Roses/1.png", "val/roses/1.png"), "classes 'Roses' and 'roses' in data", base=SPLIT
    ),
    "two classes alike in capitals only": Oddity(
        put("straße/1.png", "STRASSE/1.png"), "classes 'STRASSE' and 'straße' in data"
    ),
    "two classes that differ by a space at the end": Oddity(
        put("c/1.png", "c /1.png"), "classes 'c' and 'c ' in data have names that look alike"
    ),
    "two classes that differ by a letter that is not seen": Oddity(
        put("c/1.png", "c\u200d/1.png"), "classes 'c' and 'c\\u200d' in data have names that look alike"
    ),
    "a class with spaces at the ends": read(move("a", " a "), moved("a", " a ")),
    "a class written from right to left": read(move("a", RTL), moved("a", RTL)),
    "a class of emoji": read(move("a", EMOJI), moved("a", EMOJI)),
    "a class of 255 bytes": read(move("a", LONG), moved("a", LONG)),
    "a class with a dash in front": read(move("a", "-a"), moved("a", "-a")),
    "a class with the characters of a pattern": read(move("a", "[a]*?"), moved("a", "[a]*?")),
    "a class with a line break": Oddity(move("a", "a\nb"), "class 'a\\nb' in data has a name that is no text"),
    "a class that is not UTF-8": Oddity(move("a", NO_TEXT), "class 'caf\\udce9' in data has a name that is no text"),
    "classes named by numbers": read(
        every(put(*(f"{n}/{i}.png" for n in (10, 9, 100) for i in (1, 2)))),
        plus(*(f"{n}/{i}.png" for n in (9, 10, 100) for i in (1, 2))),
        "in the order of the numbers",
    ),
    "two files that differ by the form of Unicode": read(
        put(f"a/{NFC}.png", f"a/{NFD}.png"), plus(f"a/{NFC}.png", f"a/{NFD}.png"), "both read, on one side of the split"
    ),
    "two files that differ by case": read(put("a/X.png", "a/x.png"), plus("a/X.png", "a/x.png"), "both read"),
    "a file with a line break": read(put("a/1\n2.png"), plus("a/1\n2.png")),
    "a file that is not UTF-8": read(put(f"a/{NO_TEXT}.png"), plus(f"a/{NO_TEXT}.png")),
    "a file of 255 bytes": read(put(f"a/{LONG}"), plus(f"a/{LONG}")),
    "a file with a dash in front": read(put("a/-rf.png"), plus("a/-rf.png")),
    "a file with spaces at the ends": read(put("a/ 1.png "), plus("a/ 1.png ")),
    "a suffix in capitals": read(put("a/1.PNG"), plus("a/1.PNG")),
    "a wrong suffix": read(put("a/1.jpg", "a/2.txt"), plus("a/1.jpg", "a/2.txt"), "read by content"),
    "no suffix": read(put("a/1"), plus("a/1"), "read by content"),
    "a folder named like a picture": read(put("a/1.png/2.png"), plus("a/1.png/2.png"), "part of the class"),
    "an empty file": Oddity(write("a/1.png", b""), "data/a/1.png: empty; remove it"),
    "a broken picture": Oddity(write("a/1.png", encode(noise(0))[:60]), "data/a/1.png: broken"),
    "a text in a class folder": Oddity(write("a/1.txt", b"remember the milk"), "data/a/1.txt: not a picture"),
    "a table in a class folder": Oddity(write("a/1.csv", b"path,label\n"), "data/a/1.csv: not a picture"),
    "a table beside the class folders": Oddity(write("1.csv", b"path,label\n"), "data/1.csv: outside any class folder"),
    "a file where a class folder should be": Oddity(write("c", b"roses"), "data/c: outside any class folder"),
    "a bad file whose name is not UTF-8": Oddity(write(f"a/{NO_TEXT}", b"?"), "'data/a/caf\\udce9': not a picture"),
    "hard links to one file": read(
        lambda root: (root / "a" / "1.png").hardlink_to(root / "a" / "000.png"),
        plus("a/1.png"),
        "both read, on one side of the split",
    ),
    "a link to a picture": read(link("a/1.png", "a/000.png"), plus("a/1.png"), "followed"),
    "a link to a picture elsewhere": read(
        every(outside, link("a/1.png", "../beside/000.png")), plus("a/1.png"), "followed"
    ),
    "a link to a folder as a class": read(
        every(outside, link("c", "../beside"), put("c/2.png")), plus("c/000.png", "c/2.png"), "followed"
    ),
    "a link to a folder in a class": read(every(outside, link("a/c", "../beside")), plus("a/c/000.png"), "followed"),
    "two links to one folder in a class": read(
        every(outside, link("a/d", "../beside"), link("a/c", "../beside")), plus("a/c/000.png"), "read once"
    ),
    "a link to a folder of the same class": read(
        every(put("a/z/1.png"), link("a/c", "a/z")), plus("a/z/1.png"), "read once, under its own name"
    ),
    "a link to its own class": read(link("a/loop", "a"), PLAIN, "ends there"),
    "a link to the whole folder": read(link("a/loop", "."), PLAIN, "ends there"),
    "a link to the root of all files": read(link("a/loop", "/"), PLAIN, "ends there"),
    "two links to each other's folder": read(
        every(outside, link("a/c", "../beside"), lambda root: (root / "../beside/back").symlink_to(root / "a")),
        plus("a/c/000.png"),
        "followed once",
    ),
    "a link to itself": Oddity(link("a/1.png", "a/1.png"), "data/a/1.png: cannot be followed"),
    "a link to nothing": Oddity(link("a/1.png", "gone"), "data/a/1.png: a link to nothing"),
    "a link to nothing as a class": Oddity(link("c", "gone"), "data/c: a link to nothing"),
    "one folder as two classes": Oddity(link("c", "a"), "data/c and data/a are one folder under two names"),
    "one folder as train and val": Oddity(
        every(lambda root: shutil.rmtree(root / "val"), link("val", "train")),
        "of train and val in data two are one folder",
        base=SPLIT,
    ),
    "one class folder in train and val": Oddity(
        every(lambda root: shutil.rmtree(root / "val" / "a"), link("val/a", "train/a")),
        "data/val/a and data/train/a are one folder under two names",
        base=SPLIT,
    ),
    "a pipe": Oddity(node("a/1.png", stat.S_IFIFO), "data/a/1.png: a pipe, which is never opened"),
    "a pipe beside the class folders": Oddity(node("pipe", stat.S_IFIFO), "data/pipe: a pipe, which is never opened"),
    "a link to a pipe": Oddity(
        every(lambda root: os.mkfifo(root.parent / "pipe"), link("a/1.png", "../pipe")), "data/a/1.png: a pipe"
    ),
    "a socket": Oddity(node("a/1.png", stat.S_IFSOCK), "data/a/1.png: a socket, which is never opened"),
    "a device": Oddity(
        node("a/1.png", stat.S_IFCHR),
        "data/a/1.png: a device, which is never opened",
        skip="" if ROOT else "only root may make a device",
    ),
    "a link to a device": Oddity(link("a/1.png", "/dev/zero"), "data/a/1.png: a device, which is never opened"),
    "a folder that cannot be listed": Oddity(
        every(put("a/c/1.png"), lambda root: (root / "a" / "c").chmod(0)),
        "data/a/c: cannot be listed (Permission denied)",
    ),
    "a file that cannot be read": Oddity(
        every(put("a/1.png"), lambda root: (root / "a" / "1.png").chmod(0)),
        "data/a/1.png: unreadable; Permission denied",
    ),
}


def table() -> str:
    """For the documentation."""
    lines = ["| oddity | what comes of it |", "|---|---|"]
    for name, oddity in ODDITIES.items():
        result = oddity.result if oddity.pictures is not None else f"error: “… {oddity.result} …”"
        lines.append(f"| {name} | {result.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)
