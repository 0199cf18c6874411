"""The embedded sample: 3,500 real pictures of 10 classes (see README.md beside this file)."""

from importlib import resources
from pathlib import Path

from PIL import Image

from torchinception.data.images import load_image
from torchinception.errors import SaveError, UsageError

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
SIDE = 28


def write_sample(root: str | Path) -> Path:
    """Write the sample as PNG files, `root`/{train,test}/<class>/NNN.png, and return `root`.

    Raises:
        UsageError: there are other files in `root`.
        SaveError: a file could not be written.
    """
    root, cells = Path(root), {}
    for split in ("train", "test"):
        sheet = load_image(resources.files(__name__).joinpath(f"{split}.png").read_bytes())[:, :, 0]
        for row, name in enumerate(CLASSES):
            for column in range(sheet.shape[1] // SIDE):
                cell = sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
                cells[root / split / name / f"{column:03}.png"] = cell
    for other in sorted(path for path in root.rglob("*") if not path.is_dir() and path not in cells):
        raise UsageError(f"{other} is not of the sample; move it, or choose another --out")
    for path, cell in cells.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(cell).save(path, compress_level=1)
        except OSError as error:
            raise SaveError(f"cannot write the sample to {path}: {error.strerror}") from error
    return root
