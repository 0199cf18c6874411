"""Write Fashion-MNIST as a folder of class folders, from its own four files.

python tools/make_fashion.py /usr/share/datasets/fashion-mnist fashion     (Debian: dataset-fashion-mnist)
"""

import argparse
from pathlib import Path

from make_sample import PER_CLASS, read_idx
from PIL import Image

from torchinception.data.sample import CLASSES


def main() -> None:
    """60,000 PNG files under `train`, 10,000 under `test`; about a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of the four .gz files")
    parser.add_argument("target", type=Path, help="folder to write, which must not exist")
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True)
    for split, (prefix, _) in PER_CLASS.items():
        pictures = read_idx(arguments.source / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(arguments.source / f"{prefix}-labels-idx1-ubyte.gz")
        for name in CLASSES:
            (arguments.target / split / name).mkdir(parents=True)
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            Image.fromarray(picture).save(arguments.target / split / CLASSES[label] / f"{number:05}.png")
        print(f"{arguments.target / split}: {len(pictures):,} pictures")


if __name__ == "__main__":
    main()
