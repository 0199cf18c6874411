import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from format_fixtures import as_array, assert_holds, refused
from safetensors.torch import save_file

from torchinception.weights.formats import read_tensors


def torch_tensors() -> dict[str, torch.Tensor]:
    wide = torch.arange(12.0).reshape(3, 4)
    kinds = {str(kind): torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.float16, torch.int64, torch.bool)}
    return {"a.weight": torch.randn(3, 4), "turned": wide.T, "part": wide[1], "scalar": torch.tensor(2.0), **kinds}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", ["", "state_dict", "model_state_dict", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_of_pytorch_come_back(path: Path, zipped: bool, key: str, prefix: str) -> None:
    tensors = torch_tensors()
    content: Any = {prefix + name: tensor for name, tensor in tensors.items()}
    content = {key: content, "epoch": 3} if key else content
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    assert found.format == "torch"
    assert list(found.tensors) == list(tensors)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert all(found.tensors[name].dtype == tensor.dtype for name, tensor in tensors.items())


def test_parameters_are_read_without_their_gradients(path: Path) -> None:
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, path)
    assert not read_tensors(path).tensors["a"].requires_grad


def test_a_prefix_that_not_all_have_stays(path: Path) -> None:
    torch.save({"module.a": torch.ones(2), "b": torch.ones(1)}, path)
    assert list(read_tensors(path).tensors) == ["module.a", "b"]


WRONG: dict[str, Callable[[], object]] = {
    "nothing": dict,
    "a list": lambda: [torch.ones(2)],
    "a tensor": lambda: torch.ones(2),
    "a number among tensors": lambda: {"epoch": 3, "a": torch.ones(2)},
    "a number for a name": lambda: {1: torch.ones(2)},
    "tensors further inside": lambda: {"a": {"b": torch.ones(2)}},
    "sparse": lambda: {"a": torch.eye(2).to_sparse()},
    "sparse rows": lambda: {"a": torch.eye(2).to_sparse_csr()},
    "without values": lambda: {"a": torch.ones(2, device="meta")},
    "quantized": lambda: {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
}


@pytest.mark.filterwarnings("ignore:.*torch.quantize:UserWarning", "ignore:Sparse CSR:UserWarning")
@pytest.mark.parametrize("content", WRONG)
@pytest.mark.parametrize("zipped", [True, False])
def test_anything_but_a_dict_of_plain_tensors_is_refused(path: Path, content: str, zipped: bool) -> None:
    torch.save(WRONG[content](), path, _use_new_zipfile_serialization=zipped)
    refused(path)


def test_views_that_would_fill_the_memory_are_refused(path: Path) -> None:
    torch.save({"a": torch.ones(1).expand(2**40)}, path)
    refused(path, "views of 4,398,046,511,104 bytes")


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False, None])
def test_no_code_runs_from_a_pickle(path: Path, zipped: bool | None) -> None:
    mark = path.with_name("it ran")
    with path.open("wb") as file:
        if zipped is None:
            pickle.dump({"a": Trap(mark)}, file)
        else:
            torch.save({"a": Trap(mark), "b": torch.ones(2)}, file, _use_new_zipfile_serialization=zipped)
    refused(path)
    assert not mark.exists()


def test_a_whole_model_is_refused(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path)


def test_torchscript_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/data.pkl", b"")
    refused(path)


def rezip(path: Path, **options: Any) -> None:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w", **options) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


def test_a_compressed_zip_is_refused(path: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, path)
    rezip(path, compression=zipfile.ZIP_DEFLATED)
    refused(path, "compressed, which torch.save never does")


def test_a_zip_that_declares_more_than_it_holds_is_refused(path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, path)
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\1\2")
    content[place + 20 : place + 28] = struct.pack("<II", 3 << 29, 3 << 29)
    path.write_bytes(content)
    refused(path, "declares 1,610,")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"spec": "{}"}])
def test_safetensors_come_back(path: Path, metadata: dict[str, str] | None) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in torch_tensors().items()}
    save_file(tensors, path, metadata)
    assert_holds(read_tensors(path), "safetensors", {name: as_array(tensor) for name, tensor in tensors.items()})
