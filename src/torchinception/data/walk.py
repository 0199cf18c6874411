"""Files below a folder, found without opening any: links are followed, loops end, what is no file is named."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

IGNORED = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}  # besides everything that begins with a dot
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
Identity = tuple[int, int]  # device and inode


@dataclass
class Listing:
    """What lies in a folder: names, or paths from there on, sorted."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)  # those folders that are links
    bad: dict[str, str] = field(default_factory=dict)  # what is neither: by its name, what it is
    closed: list[str] = field(default_factory=list)  # a line for each folder that cannot be listed


def is_ignored(name: str) -> bool:
    """Hidden, or of a system's own."""
    return name.startswith(".") or name.lower() in IGNORED


def show(path: object) -> str:
    """A path that fits in a line, whatever is in its name."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def show_place(path: object, member: object = None) -> str:
    """A picture's path, and its name in the shard if it is in one, in one line."""
    return show(path) if member is None else f"{show(path)}: {show(member)}"


def look(folder: str | Path) -> Listing:
    """List a folder, except for hidden files and those of systems."""
    found = Listing()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_ignored(entry.name):
                    _sort_in(entry, found)
    except OSError as error:
        found.closed.append(f"{show(folder)}: cannot be listed ({error.strerror}); check its permissions")
    found.files.sort()
    found.folders.sort()
    return found


def _sort_in(entry: os.DirEntry[str], found: Listing) -> None:
    try:
        if entry.is_dir():
            found.folders.append(entry.name)
            if entry.is_symlink():
                found.links.add(entry.name)
        elif entry.is_file():
            found.files.append(entry.name)
        else:
            kind = stat.S_IFMT(entry.stat().st_mode)
            found.bad[entry.name] = f"{KINDS.get(kind, 'no file')}, which is never opened; remove it"
    except FileNotFoundError:
        found.bad[entry.name] = "a link to nothing; remove it, or restore what it points to"
    except OSError as error:  # a link to itself, or into a folder that may not be entered
        found.bad[entry.name] = f"cannot be followed ({error.strerror}); remove it"


def walk(folder: Path) -> Listing:
    """All files below `folder`, by their paths from there on, in the order of `sorted` paths.

    A folder that several links lead to is read once, under its own name if it has one here. A link to a folder
    that `folder` itself lies in is a loop, and ends there.
    """
    found = Listing()
    seen = {identify(place) for place in (*folder.absolute().parents, *folder.resolve().parents)}
    waiting, links = [""], list[str]()
    while waiting or links:  # folders of their own come before links to any
        place = waiting.pop() if waiting else links.pop(0)
        if (identity := identify(folder / place)) in seen:
            continue
        seen.add(identity)
        inside, start = look(folder / place), place + os.sep if place else ""  # a million Paths would take their time
        found.files += (start + name for name in inside.files)
        found.folders += (start + name for name in inside.folders)
        found.bad |= {start + name: what for name, what in inside.bad.items()}
        found.closed += inside.closed
        waiting += (start + name for name in inside.folders if name not in inside.links)
        links += (start + name for name in inside.folders if name in inside.links)
    found.files = in_order(found.files)
    return found


def in_order(paths: Iterable[str]) -> list[str]:
    """As paths are sorted: part by part."""
    return sorted(paths, key=lambda path: path.replace(os.sep, "\0"))


def identify(place: Path) -> Identity:
    """The same for all names of a folder."""
    try:
        found = place.stat()
    except OSError:
        return -1, hash(place)  # to be listed, and named if it cannot be
    return found.st_dev, found.st_ino
