"""Downloads from a real HTTPS server on this machine, with a certificate of its own."""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import torchinception.weights.download as module
from torchinception.errors import MissingInputError, ModelFileError
from torchinception.progress import Listener
from torchinception.weights.cached import cached_path
from torchinception.weights.catalogue import Entry, find_entry
from torchinception.weights.download import fetch

CONTENT = bytes(range(256)) * 10_000  # 2.56 MB: more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HUB_FOLDER = "/timm/inception_v4.tf_in1k/resolve/"  # then main, or the commit


class Server(ThreadingHTTPServer):
    """Says what was asked of it; `address` ends in the behaviour that is wanted."""

    daemon_threads = True
    failures = 0  # how many answers of /flaky are still to fail

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.address = f"http{'s' if certificate else ''}://localhost:{self.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are the subject here."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the name of the standard library
        pass

    def start(self, code: int, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def do_HEAD(self) -> None:
        self.server.asked.append(f"HEAD {self.path}")
        if self.path.startswith(HUB_FOLDER):
            self.start(200, X_Repo_Commit="0" * 40, ETag=f'"{SHA256}"', Content_Length=len(CONTENT))
        else:
            self.start(404)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        behaviour = self.path.split("/")[1]
        if behaviour == "flaky" and self.server.failures:
            self.server.failures -= 1
            self.start(503, Content_Length=0)
        elif behaviour in ("good", "flaky", "timm"):
            self.start(200, Content_Length=len(CONTENT))
            self.wfile.write(CONTENT)
        elif behaviour == "cut":
            self.start(200, Content_Length=len(CONTENT))
            self.wfile.write(CONTENT[:-100])
        elif behaviour == "slow":
            self.start(200, Content_Length=len(CONTENT))
            self.wfile.write(CONTENT[:100])
            time.sleep(2)
        elif behaviour == "endless":
            self.start(200)
            for _ in range(100):
                self.wfile.write(CONTENT)
        elif behaviour == "redirect":
            self.start(302, Location=self.path.replace("redirect", "good"), Content_Length=0)
        elif behaviour == "to_http":
            self.start(302, Location="http://localhost:1/x", Content_Length=0)
        else:
            self.start(404, Content_Length=0)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    new = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        [*new, "-keyout", "key.pem", "-out", "cert.pem", *names], cwd=folder, check=True, capture_output=True
    )
    return folder / "cert.pem", folder / "key.pem"


def serve(certificate: tuple[Path, Path] | None) -> Iterator[Server]:
    with Server(certificate) as server:
        threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    yield from serve(certificate)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TORCHINCEPTION_OFFLINE", "HF_HUB_OFFLINE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCHINCEPTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "RETRY_AFTER_S", (0.0, 0.0))
    return tmp_path / "cache"


def entry_at(url: str, **changes: object) -> Entry:
    row = find_entry("xception.cadene_in1k").model_dump()
    return Entry(**row | dict(url=url, file="model.pth", digest=f"sha256:{SHA256[:9]}", digest_source="test") | changes)


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


class Ears(Listener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int]] = []

    def progress(self, task: str, done: int, total: int, **figures: float) -> None:
        self.heard.append((task, done, total))


def test_the_file_arrives_whole_with_its_progress_and_its_digest_beside_it(server: Server) -> None:
    ears, entry = Ears(), entry_at(f"{server.address}/good/model.pth")
    path = fetch(entry, ears)
    assert path == cached_path(entry)
    assert path.read_bytes() == CONTENT
    assert path.with_name("model.pth.sha256").read_text() == f"{SHA256}  model.pth\n"
    assert ears.heard[-1] == ("Downloading xception.cadene_in1k", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in ears.heard] == sorted(done for _, done, _ in ears.heard)


def test_a_second_use_does_not_touch_the_network(server: Server) -> None:
    entry = entry_at(f"{server.address}/good/model.pth")
    fetch(entry)
    asked = list(server.asked)
    assert fetch(entry) == fetch(entry, offline=True) == cached_path(entry)
    assert server.asked == asked == ["/good/model.pth"]


def test_a_redirect_to_https_is_followed_and_one_to_http_refused(server: Server, cache: Path) -> None:
    with pytest.raises(MissingInputError, match="leads to http://localhost:1/x, which is not https"):
        fetch(entry_at(f"{server.address}/to_http/model.pth"))
    assert left_behind(cache) == []
    assert fetch(entry_at(f"{server.address}/redirect/model.pth")).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("algorithm", "right"), [(name, hashlib.new(name, CONTENT).hexdigest()) for name in ("md5", "sha1", "sha256")]
)
def test_published_digests_of_every_kind_are_checked(algorithm: str, right: str, server: Server, cache: Path) -> None:
    wrong = ("0" if right[0] != "0" else "1") + right[1:]
    with pytest.raises(ModelFileError, match=rf"its {algorithm} is {right}, not {wrong} \(test\)"):
        fetch(entry_at(f"{server.address}/good/model.pth", digest=f"{algorithm}:{wrong}"))
    assert left_behind(cache) == []
    assert fetch(entry_at(f"{server.address}/good/model.pth", digest=f"{algorithm}:{right}")).exists()


@pytest.mark.parametrize(
    ("behaviour", "changes", "error", "says"),
    [
        (
            "cut",
            {},
            MissingInputError,
            f"in 3 tries: the connection ended after {len(CONTENT) - 100} of {len(CONTENT)}",
        ),
        ("slow", {}, MissingInputError, "in 3 tries: .*timed out"),
        ("missing", {}, MissingInputError, "the server answers 404"),
        ("good", dict(size_mb=1), ModelFileError, "larger than the .* bytes expected"),
        ("good", dict(size_bytes=len(CONTENT) - 1), ModelFileError, "larger than the"),
        ("good", dict(size_bytes=len(CONTENT) + 1), ModelFileError, f"{len(CONTENT)} bytes, not {len(CONTENT) + 1}"),
        ("endless", dict(size_mb=3), ModelFileError, "larger than the .* bytes expected"),
        ("endless", dict(digest=None, digest_source=None), MissingInputError, "does not say how long the file is"),
    ],
)
def test_a_download_that_goes_wrong_says_so_and_leaves_nothing_behind(
    behaviour: str,
    changes: dict[str, object],
    error: type[Exception],
    says: str,
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3 if behaviour == "slow" else 10.0)
    with pytest.raises(error, match=says):
        fetch(entry_at(f"{server.address}/{behaviour}/model.pth", **changes))
    assert left_behind(cache) == []


def test_passing_faults_are_tried_again_and_lasting_ones_are_not(server: Server) -> None:
    server.failures = 2
    assert fetch(entry_at(f"{server.address}/flaky/model.pth")).read_bytes() == CONTENT
    assert server.asked == ["/flaky/model.pth"] * 3
    with pytest.raises(MissingInputError, match="404"):
        fetch(entry_at(f"{server.address}/missing/model.pth", file="other.pth"))
    assert server.asked[3:] == ["/missing/model.pth"]


def test_a_server_with_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(MissingInputError, match=r"cannot download xception.cadene_in1k: .*CERTIFICATE_VERIFY_FAILED"):
        fetch(entry_at(f"{server.address}/good/model.pth"))
    assert server.asked == []


def test_an_interrupted_download_leaves_nothing_behind(server: Server, cache: Path) -> None:
    class Impatient(Listener):
        def progress(self, task: str, done: int, total: int, **figures: float) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry_at(f"{server.address}/good/model.pth"), Impatient())
    assert left_behind(cache) == []


def test_a_cached_file_that_changed_is_an_error_and_is_left_alone(server: Server) -> None:
    entry = entry_at(f"{server.address}/good/model.pth", digest=None, digest_source=None)
    path = fetch(entry)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(ModelFileError, match=r"model.pth has changed since its first use.*delete both"):
        fetch(entry)
    assert path.read_bytes()[-1:] == b"?"


def test_a_file_put_there_by_hand_is_checked_and_used() -> None:
    entry = entry_at("https://localhost:1/model.pth")
    path = cached_path(entry)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelFileError, match="is not the published file"):
        fetch(entry)
    path.write_bytes(CONTENT)
    assert fetch(entry, offline=True) == path
    assert path.with_name("model.pth.sha256").read_text().startswith(SHA256)


@pytest.mark.parametrize("variable", [None, "TORCHINCEPTION_OFFLINE", "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("name", ["inception_v3.torchvision_in1k", "inception_v4.tf_in1k"])
def test_offline_says_where_the_file_is_where_it_belongs_and_its_digest(
    variable: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = find_entry(name)
    if variable:
        monkeypatch.setenv(variable, "1")
    with pytest.raises(MissingInputError, match="is offline") as caught:
        fetch(entry, offline=variable is None)
    assert entry.address in str(caught.value)
    assert str(cached_path(entry)) in str(caught.value)
    assert entry.digest is None or entry.digest in str(caught.value)


def test_a_closed_network_says_how_to_put_the_file_there_by_hand() -> None:
    entry = entry_at("https://localhost:1/model.pth")
    with pytest.raises(MissingInputError, match=r"in 3 tries: .*refused.*put it at") as caught:
        fetch(entry)
    assert str(cached_path(entry)) in str(caught.value)


HUB = """
import json, sys
import torchinception.weights.download as module
from torchinception.errors import InceptionError
from torchinception.progress import Listener
from torchinception.weights.catalogue import find_entry
module.RETRY_AFTER_S = (0.0,)
heard = []
class Ears(Listener):
    def progress(self, task, done, total, **figures):
        heard.append((task, done, total))
try:
    path = module.fetch(find_entry(sys.argv[1]), Ears())
    print(json.dumps(dict(path=str(path), heard=heard[-1])))
except InceptionError as error:
    print(json.dumps(dict(error=type(error).__name__, says=str(error))))
"""


def fetch_from_hub(name: str, endpoint: str, tmp_path: Path) -> dict[str, Any]:
    """In a process of its own: huggingface_hub reads its endpoint when it is imported."""
    ours = dict(HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "hf"), HF_HUB_DISABLE_XET="1", HF_HUB_ETAG_TIMEOUT="5")
    run = [sys.executable, "-W", "error::ResourceWarning", "-c", HUB, name]
    done = subprocess.run(run, env=os.environ | ours, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""  # no bar of its own
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_hub_files_come_through_its_client_and_are_checked_against_its_digest(tmp_path: Path, cache: Path) -> None:
    entry = find_entry("inception_v4.tf_in1k")
    for server in serve(None):
        answer = fetch_from_hub(entry.name, server.address, tmp_path)
        assert answer.get("path") == str(cached_path(entry)), answer
        assert answer["heard"] == [f"Downloading {entry.name}", len(CONTENT), len(CONTENT)]
        assert left_behind(cache) == ["model.safetensors", "model.safetensors.sha256"]
        assert cached_path(entry).read_bytes() == CONTENT
        missing = fetch_from_hub("inception_v3.tf_in1k", server.address, tmp_path)
        assert missing["error"] == "MissingInputError"
        assert find_entry("inception_v3.tf_in1k").address in missing["says"]
    assert left_behind(cache) == ["model.safetensors", "model.safetensors.sha256"]


def test_a_hub_file_that_is_not_what_the_hub_says_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SHA256", "0" * 64)
    for server in serve(None):
        answer = fetch_from_hub("inception_v4.tf_in1k", server.address, tmp_path)
        assert answer["error"] == "ModelFileError", answer
        assert "arrived damaged" in answer["says"]
    assert left_behind(cache) == []


def test_a_closed_hub_says_how_to_put_the_file_there_by_hand(tmp_path: Path, cache: Path) -> None:
    answer = fetch_from_hub("inception_v4.tf_in1k", "http://localhost:1", tmp_path)
    assert answer["error"] == "MissingInputError", answer
    assert str(cached_path(find_entry("inception_v4.tf_in1k"))) in answer["says"]
    assert left_behind(cache) == []


def test_neither_torch_nor_the_hub_s_client_is_loaded_before_it_is_needed() -> None:
    look = "import sys, torchinception.weights.download; print({'torch', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
