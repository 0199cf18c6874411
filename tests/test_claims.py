import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict

import pytest
from conftest import Result

from torchinception.claims import Claim, check_claims
from torchinception.models import NETWORKS

Expected = tuple[str, Mapping[str, float]]

# Verdict and numbers, by the beginning of the claim. Counted independently of this package, from Caffe's and TF-slim's
# own files and torchvision's networks; ratios and percents to the digits given.
EXPECTED: dict[str, Expected] = {
    "v1: 22 layers": ("true", dict(layers=22, modules=9, first=3, second=6)),
    # a head: 3 convolutions, 2 a module, then 1 convolution and 2 linear layers
    "v1: auxiliary": ("disputed", dict(main=22, inception_4a=3 + 2 * 3 + 3, inception_4d=3 + 2 * 6 + 3)),
    "v1: 1x1": (
        "true",
        dict(naive_macs=303_464_448, macs=128_049_152, times=2.37, naive=97_526_008, reduced=6_998_552),
    ),
    "v1 has 1/12": (
        "garbled",
        dict(
            alexnet=60_965_224,
            alexnet_over_googlenet=8.71,
            no_classifier=10.21,
            with_aux=4.56,
            vgg16_over_googlenet=19.77,
            vgg19_over_googlenet=20.53,
            vgg16_over_alexnet=2.27,
        ),
    ),
    "v2: two 3x3": (
        "conditional",
        dict(whole=595_200, first=880_128, second=286_848, equal_pct=-28.0, first_pct=47.9, second_pct=-51.8),
    ),
    "v2: 1xn": ("conditional", dict(n3=33.3, n5=60.0, n7=71.4, v3_c128=76.2, v3_c160=73.8, v3_c192=71.4)),
    # a 7x7 in place of the 5x5 from 128 to 768 channels
    "v3: a 7x7": ("false", dict(kernel=5, parameters=3_326_696, parameters_7x7=3_326_696 + 24 * 128 * 768)),
    "v4 joins": ("garbled", dict(inception_v4=0, inception_resnet_v1=5 + 10 + 6, inception_resnet_v2=10 + 20 + 10)),
}


@pytest.fixture(scope="module")
def claims() -> tuple[Claim, ...]:
    return check_claims()


def find(claims: tuple[Claim, ...], beginning: str) -> Claim:
    (found,) = (claim for claim in claims if claim.textbook.startswith(beginning))
    return found


def digits(number: float) -> int:
    return len(str(number).partition(".")[2])


def test_every_claim_is_expected(claims: tuple[Claim, ...]) -> None:
    assert len(claims) == len(EXPECTED)


@pytest.mark.parametrize(("beginning", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_a_claims_numbers_are_those_counted_elsewhere(
    claims: tuple[Claim, ...], beginning: str, expected: Expected
) -> None:
    verdict, numbers = expected
    claim = find(claims, beginning)
    rounded = {name: round(claim.numbers[name], digits(number)) for name, number in numbers.items()}
    assert (claim.verdict, claim.numbers.keys(), rounded) == (verdict, numbers.keys(), numbers)


@pytest.mark.parametrize("beginning", EXPECTED)
def test_a_claim_names_its_paper(claims: tuple[Claim, ...], beginning: str) -> None:
    assert re.match(r"\d{4}\.\d{4,5} (section|table) \d", find(claims, beginning).source)


def test_a_sentence_holds_its_numbers(claims: tuple[Claim, ...]) -> None:
    said = find(claims, "v2: two 3x3").computed
    assert said == (
        "-28 % at equal widths; GoogLeNet's nine 5x5 (595,200 weights) all widen: +47.9 % if the first 3x3 does, "
        "-51.8 % if the second does"
    )


def test_numbers_come_from_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "googlenet", NETWORKS["googlenet_torch"])  # a 3x3 for the 5x5: 6,624,904 parameters
    found = find(check_claims(), "v1 has 1/12").numbers
    assert found["alexnet_over_googlenet"] == 60_965_224 / 6_624_904


def test_the_command_prints_json(inception: Callable[..., Result], claims: tuple[Claim, ...]) -> None:
    assert json.loads(inception("claims", "--json").out) == [asdict(claim) for claim in claims]


def test_the_command_prints_a_table_of_100_columns(inception: Callable[..., Result], claims: tuple[Claim, ...]) -> None:
    lines = inception("claims").out.splitlines()
    verdicts = [line.split()[-1] for line in lines[1:] if not line.endswith(" " * len("conditional"))]
    assert (max(map(len, lines)) <= 100, verdicts) == (True, [claim.verdict for claim in claims])
