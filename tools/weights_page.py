"""The page of published checkpoints, from the catalogue: `catalogue_page()`, for make_docs.py."""

from torchinception.weights.catalogue import Entry, entries


def catalogue_page() -> str:
    """Markdown: a table of all, then a section each with its address, digest, preprocessing and divergences."""
    page = [
        "# Published weights\n",
        "Figures are those of each source, not measured here; top-1, top-5: per cent of ImageNet's validation set.",
        "A file is downloaded at its first use into the cache folder, checked against the digest its source publishes,",
        "and from then on against its own SHA-256.\n",
        "| name | network | top-1 | top-5 | size | licence | source |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for name, entry in entries().items():
        figures = " | ".join("" if value is None else f"{value:g}" for value in (entry.top1, entry.top5))
        link = f"[`{name}`](#{name.replace('.', '')})"
        page.append(
            f"| {link} | `{entry.network}` | {figures} | {size(entry)} | {entry.licence} | [file]({entry.address}) |"
        )
    page.append("")
    page += [section(entry) for entry in entries().values()]
    return "\n".join(page)


def size(entry: Entry) -> str:
    """As published, or nothing."""
    if entry.size_bytes:
        return f"{entry.size_bytes / 1e6:.1f} MB"
    return f"{entry.size_mb:g} MB" if entry.size_mb else ""


def section(entry: Entry) -> str:
    """One checkpoint: what its source says, where it says so, and what differs."""
    rows = [f"File: [`{entry.file}`]({entry.address}) ({entry.url_source})"]
    rows.append(
        f"Digest: `{entry.digest}` ({entry.digest_source})" if entry.digest else f"Digest: {unpublished(entry)}"
    )
    rows.append(f"Licence: {entry.licence} ({entry.licence_source})")
    if entry.accuracy_source:
        rows.append(f"Accuracy: {entry.top1:g} / {entry.top5:g} ({entry.accuracy_source})")
    rows += [f"Outputs: {entry.classes}", f"Preprocessing: {preprocessing(entry)}", *entry.differs]
    listed = "\n".join(f"- {row}" for row in rows)
    return f"## {entry.name}\n\nNetwork: [`{entry.network}`](networks.md#{entry.network}).\n\n{listed}\n"


def unpublished(entry: Entry) -> str:
    """What is checked where a source publishes no digest."""
    return "the hub's own, asked for with the file" if entry.hub else "none published"


def preprocessing(entry: Entry) -> str:
    """The same in one line."""
    p = entry.preprocess
    if p.resize_px:
        cut = (
            f"{'shorter side' if p.resize == 'shorter side' else 'both sides'} to {p.resize_px} px, center {p.size} px"
        )
    else:
        kept = "whole picture" if p.crop == 1 else f"middle {p.crop:.1%} of each side"
        cut = f"{kept} stretched to {p.size} px"
    values = " to ".join(f"{v:g}" for v in (0, 255 if p.scale_255 else 1))
    mean, std = (", ".join(f"{v:g}" for v in vs) for vs in (p.mean, p.std))
    return f"{cut}, `{p.interpolation}`; values of {values}, mean ({mean}), deviation ({std})"
