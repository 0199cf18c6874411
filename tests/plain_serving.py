"""Names pictures with an exported file, by ONNX Runtime, Pillow and NumPy alone:

python plain_serving.py model.onnx photo.jpg ...
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def prepare(path, look):
    """RGB uint8 (size, size, 3), resized and cropped as the file's metadata say."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    method, size, crop = Image.Resampling[look["interpolation"].upper()], look["size"], look["crop"]
    if look["resize"] == "stretch":
        left, top = (int((length - length * crop) / 2) for length in image.size)
        image = image.crop((left, top, image.width - left, image.height - top)).resize((size, size), method)
    else:  # "shorter side"
        image = image.resize([int(round(size / crop) * length / min(image.size)) for length in image.size], method)
        left, top = (round((length - size) / 2) for length in image.size)
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image)


def main(model, *paths):
    session = onnxruntime.InferenceSession(model)
    metadata = session.get_modelmeta().custom_metadata_map
    names, look = json.loads(metadata["names"]), json.loads(metadata["preprocess"])
    for path in paths:
        pictures = prepare(path, look)[None]  # uint8 (1, size, size, 3); the file scales them itself
        (probabilities,) = session.run(["probabilities"], {"pictures": pictures})
        best = probabilities[0].argsort()[::-1][:5]
        print(path, *(f"{names[i]} {probabilities[0, i]:.1%}" for i in best), sep="\t")


if __name__ == "__main__":
    main(*sys.argv[1:])
