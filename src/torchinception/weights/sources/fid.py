"""The network of 2015-12-05 that FID is defined by, in pytorch-fid's and torch-fidelity's files.

Traps:
    - 1008 outputs, which are not ImageNet's 1000 in their order.
    - The last block pools by maximum and average pools leave padding out, unlike torchvision's network of the same
      keys: `inception_v3_fid`.
    - pytorch-fid resizes by PyTorch's bilinear on fractions of grey levels and scales to -1 to 1; torch-fidelity, like
      the original graph, by TensorFlow 1's, and scales by (x - 128) / 128. Both forget the sides' ratio. The resized
      picture has whole grey levels here.
"""

from dataclasses import replace

from torchinception.data.transforms import Preprocess
from torchinception.weights.sources.source import Source, spell_units
from torchinception.weights.sources.torchvision import FORMATS, inception_v3_layers

PYTORCH_FID = Source(
    name="pytorch_fid",
    what="pytorch-fid fid_inception_v3",
    network="inception_v3_fid",
    formats=FORMATS,
    layers=inception_v3_layers(aux=False),
    spell=spell_units,
    preprocess=Preprocess(size=299, resize="stretch", crop=1, interpolation="bilinear_torch"),
    options={"dropout": 0.5},
    outputs=1008,
)
TORCH_FIDELITY = replace(
    PYTORCH_FID,
    name="torch_fidelity",
    what="torch-fidelity FeatureExtractorInceptionV3",
    preprocess=Preprocess(
        size=299,
        resize="stretch",
        crop=1,
        interpolation="bilinear_tf1",
        mean=(128 / 255, 128 / 255, 128 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
    ),
)
