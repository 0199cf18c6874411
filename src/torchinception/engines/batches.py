"""How many pictures an engine is given at a time if nobody says."""

import torch

ON_A_CPU, ON_A_GPU = 8, 64  # of 299 px
MOST = 256
FEW = 64  # pictures, for which it does not pay to measure which engine is the fastest


def fitting_batch(size: int, device: str | torch.device = "cpu", pictures: int | None = None) -> int:
    """A power of two: as many pixels as 8 pictures of 299 px have, on a GPU 64; more of small ones, at most 256.

    More at a time gains nothing on a CPU, where 8 already take most of a second in one thread, and takes memory; fewer
    leave a second thread idle at the end of each layer (benchmarks/runtimes.py). Never many more than there are
    `pictures`, of few; else the fastest engine would be another question for 65 pictures, 129 and 257.
    """
    pixels = 299**2 * (ON_A_CPU if torch.device(device).type == "cpu" else ON_A_GPU)
    batch = min(MOST, 1 << max(0, (pixels // size**2).bit_length() - 1))
    while pictures is not None and pictures < FEW and batch > 1 and batch // 2 >= pictures:
        batch //= 2
    return batch
