"""Other libraries' networks in a benchmark have our weights, and are right in whatever runs them."""

from pathlib import Path

import pytest
import torch
from peer_weights import distance

from torchinception.bench import peers
from torchinception.bench.measure import measure
from torchinception.bench.peers import PEERS, make_peer, peer_sides
from torchinception.bench.subjects import make_subject
from torchinception.errors import UsageError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The large ones take a minute: with --full, else one."""
    if "with_peer" in metafunc.fixturenames:
        metafunc.parametrize("with_peer", PEERS if metafunc.config.getoption("--full") else ["googlenet_torch"])


def test_a_peer_has_our_weights_and_answers_as_we_do_in_float64(with_peer: str, tmp_path: Path) -> None:
    subject = make_subject(with_peer, 2, tmp_path)
    peer = make_peer(subject, tmp_path)
    assert (peer.origin, peer.network) == PEERS[with_peer]
    assert peer.note == ""
    with torch.no_grad():
        found = peer.build().double()(subject.pictures.double())
    assert distance(found, subject.right) <= 1e-11  # float64, summed in another order


def test_a_network_that_no_other_library_has_stands_in_itself_and_says_so(tmp_path: Path) -> None:
    subject = make_subject("tiny_inception", 1, tmp_path)
    peer = make_peer(subject, tmp_path)
    assert peer.origin == "PyTorch"
    assert peer.note.startswith("no other library computes tiny_inception")


def test_a_network_near_to_a_peers_is_told_which(tmp_path: Path) -> None:
    subject = make_subject("tiny_inception", 1, tmp_path)
    subject.net.name = "inception_v3"
    assert "torchvision and timm have inception_v3_torch" in make_peer(subject, tmp_path).note


def test_a_library_that_is_not_installed_is_named_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda library: library != "timm")
    with pytest.raises(UsageError, match="pip install timm"):
        next(measure(["inception_v3_torch", "inception_v4"], peers=True))


def test_every_side_of_a_peer_answers_as_in_float64(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """torch.compile takes half a minute: with --full."""
    subject = make_subject("tiny_inception", 2, tmp_path)
    pictures = subject.pictures.numpy()
    sides, notes = peer_sides(make_peer(subject, tmp_path), pictures, 1, tmp_path)
    assert [(side.name, side.kind) for side in sides] == [
        ("PyTorch eager", "peer"),
        ("PyTorch channels_last", "peer"),
        ("PyTorch compiled", "peer"),
        ("PyTorch in ncnn", "runtime"),
        ("PyTorch in ONNX Runtime", "runtime"),
        ("PyTorch in OpenVINO", "runtime"),
    ]
    assert "went into the runtimes by torch.onnx.export(dynamo=" in notes[-1]
    full = request.config.getoption("--full")
    for one in sides:
        if full or one.name != "PyTorch compiled":
            _, run = one.prepare()()
            answers = torch.from_numpy(run())
            assert distance(answers, subject.right) <= 1e-4
