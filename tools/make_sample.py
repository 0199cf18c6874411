"""Make the embedded sample from Fashion-MNIST's own files, byte for byte the same each time.

    python tools/make_sample.py /usr/share/datasets/fashion-mnist     (Debian: dataset-fashion-mnist)

Takes the first 250 pictures of each class of the training set and the first 100 of each class of the
test set, in the order of the files, and writes them as one contact sheet per split: row = class,
column = picture, 28x28 grey each.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from PIL import Image

TARGET = Path(__file__).parents[1] / "src/torchinception/data/sample"
PER_CLASS = {"train": ("train", 250), "test": ("t10k", 100)}


def read_idx(path: Path) -> np.ndarray:
    """The IDX format: two zero bytes, type 8 (uint8), number of dimensions, sizes, values."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", dimensions, 4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def main() -> None:
    """Write both contact sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of Fashion-MNIST's four .gz files")
    parser.add_argument("--target", type=Path, default=TARGET, help="where to write (default: the package)")
    arguments = parser.parse_args()
    for split, (prefix, count) in PER_CLASS.items():
        pictures = read_idx(arguments.source / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(arguments.source / f"{prefix}-labels-idx1-ubyte.gz")
        rows = [np.hstack(pictures[labels == label][:count]) for label in range(10)]
        path = arguments.target / f"{split}.png"
        Image.fromarray(np.vstack(rows)).save(path, optimize=False, compress_level=9)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
