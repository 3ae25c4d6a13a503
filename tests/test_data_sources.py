"""Files, the stand-in, and CIFAR-10 by way of torchvision: here a tiny archive from a server on this machine."""

import hashlib
import http.server
import io
import pickle
import socket
import tarfile
import threading
import time
import zipfile

import data_sources
import numpy as np
import pytest
from data_sources import load
from image_data import split

from manual_mlp import MLP, cyclical_learning_rate, evaluate, train


def arrays(**changed):
    rng = np.random.default_rng(0)
    good = {
        "x_train": rng.integers(0, 256, (20, 4, 4, 3), np.uint8),
        "y_train": np.arange(20) % 5,
        "x_test": rng.integers(0, 256, (6, 4, 4, 3), np.uint8),
        "y_test": np.arange(6) % 5,
    }
    return {**good, **changed}


def test_a_file_is_read_as_it_was_written(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays())
    data = load(str(tmp_path / "mine.npz"), tmp_path)
    for name, expected in arrays().items():
        np.testing.assert_array_equal(getattr(data, name), expected)
    assert (data.name, data.slug, data.warning, data.inputs, data.classes) == ("mine.npz", "mine", "", 48, 5)


@pytest.mark.parametrize("name", ["CIFAR-10 mine", "cifar10", "synthetic"])
def test_a_file_does_not_pass_for_other_data_by_its_name(tmp_path, name):
    np.savez(tmp_path / f"{name}.npz", **arrays())
    data = load(str(tmp_path / f"{name}.npz"), tmp_path)
    assert (data.name, data.slug) == (f"file {name}.npz", f"file-{name}")
    assert not data.is_cifar10


def npy():
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


def pickled(path):
    np.savez(path, **arrays(y_train=np.array([{}] * 20, object)))


def truncated(path):
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-300])


def damaged(path):
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[400] ^= 0xFF
    path.write_bytes(content)


def with_member(header, method=zipfile.ZIP_STORED, damage=lambda content: content):
    """Writes an archive whose x_train begins as an array and goes on with this header."""

    def write(path):
        np.savez(path, **arrays())
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["x_train.npy"] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        path.write_bytes(damage(path.read_bytes()))

    return write


def without_properties(content):
    """The archive's first member is compressed by LZMA, of which what follows its name are the properties."""
    start = content.index(b"x_train.npy") + len(b"x_train.npy") + 4
    return content[:start] + b"\xff" * 5 + content[start + 5 :]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda _: None, "there is no such file"),
        (with_member(b"{1: 2, 'shape': 3}\n"), "must be an .npz"),
        (with_member(b"{'descr': '<f4', 'shape': (\n"), "must be an .npz"),
        (with_member(b"{}\n" * 99, zipfile.ZIP_LZMA, without_properties), "must be an .npz"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b""), "it is no zip archive"),
        (lambda path: path.write_text("hello"), "must be an .npz file with x_train"),
        (lambda path: path.write_bytes(npy()), "must be an .npz file with x_train"),
        (truncated, "it is no zip archive, as every .npz file is, or only a part"),
        (damaged, "Bad CRC-32"),
        (pickled, "Object arrays cannot be loaded when allow_pickle=False"),
        (lambda path: np.savez(path, images=np.zeros(3)), "it lacks x_train, y_train, x_test, y_test and has images"),
    ],
    ids=[
        "missing",
        "keys",
        "header",
        "lzma",
        "a folder",
        "empty",
        "text",
        "npy",
        "truncated",
        "damaged",
        "pickled",
        "other names",
    ],
)
def test_a_bad_file_is_named(tmp_path, write, message):
    path = tmp_path / "bad.npz"
    write(path)
    with pytest.raises(ValueError, match=message) as error:
        load(str(path), tmp_path)
    assert str(error.value).startswith(f"--data is {path}: ")


def test_a_file_that_would_unpack_beyond_bounds_is_refused_unopened(tmp_path, monkeypatch):
    """A few kilobytes can hold gigabytes of zeros."""
    np.savez_compressed(tmp_path / "bomb.npz", **arrays(x_train=np.zeros((20, 400, 400, 3), np.uint8)))
    monkeypatch.setattr(data_sources, "MOST_UNPACKED", 2**20)
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(ValueError, match=r"it would unpack to 0\.00894 GiB, above 0\.000977 GiB"):
        load(str(tmp_path / "bomb.npz"), tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"x_train": np.zeros((20, 4, 4, 3))},
            r"x_train is float64 \(20, 4, 4, 3\); images must be uint8 \(N, H, W, C\)",
        ),
        ({"x_train": np.full((20, 4, 4, 3), np.nan)}, "x_train is float64"),
        ({"x_test": np.zeros((6, 48), np.uint8)}, r"x_test is uint8 \(6, 48\)"),
        ({"x_test": np.zeros((6, 5, 4, 3), np.uint8)}, "of one size in both parts"),
        ({"x_test": np.zeros((0, 4, 4, 3), np.uint8)}, "N at least 1"),
        ({"y_train": np.zeros(19, int)}, r"y_train is int64 \(19,\); labels must be integers \(20,\)"),
        ({"y_train": np.zeros((20, 1), int)}, r"y_train is int64 \(20, 1\)"),
        ({"y_test": np.zeros(6)}, r"y_test is float64 \(6,\)"),
        ({"y_train": np.arange(20) - 1}, "y_train has labels from -1 to 18"),
        ({"y_test": np.arange(6)}, "y_test has labels from 0 to 5"),
        (
            {"y_train": np.arange(20) % 5 + 1},
            "y_train has labels from 1 to 5; y_train must number at least two classes from 0",
        ),
        ({"y_train": np.where(np.arange(20) % 5 == 3, 2**40, 0)}, "y_train has labels from 0 to 1099511627776"),
        ({"x_train": b"not an array"}, r"x_train is \|S12 \(\)"),
        ({"y_train": np.zeros(20, int)}, "y_train has labels from 0 to 0; y_train must number at least two"),
    ],
)
def test_bad_arrays_are_named(tmp_path, changed, message):
    np.savez(tmp_path / "bad.npz", **arrays(**changed))
    with pytest.raises(ValueError, match=message):
        load(str(tmp_path / "bad.npz"), tmp_path)


def test_an_unknown_source_is_named(tmp_path):
    with pytest.raises(ValueError, match="--data is 'imagenet'; it must be auto, cifar10, synthetic or the path"):
        load("imagenet", tmp_path)


@pytest.fixture(scope="module")
def stand_in():
    return data_sources.synthetic()


def test_the_stand_in_is_always_the_same(stand_in, tmp_path):
    first = stand_in
    assert (first.x_train.shape, first.x_test.shape, first.classes) == ((50_000, 32, 32, 3), (10_000, 32, 32, 3), 10)
    assert first.fingerprint == load("synthetic", tmp_path).fingerprint
    assert "NOT on CIFAR-10" in first.warning


def test_the_stand_in_needs_hidden_units_but_is_not_easy(stand_in):
    splits = split(stand_in, 10_000, 100)

    def accuracy(sizes):
        net = MLP(sizes, initializer="xavier", rng=np.random.default_rng(0))
        train(
            net,
            splits.train,
            splits.validation,
            learning_rate=lambda step: cyclical_learning_rate(step, step_size=300),
            updates=600,
            l2=0.01,
            record_every=600,
            rng=np.random.default_rng(1),
        )
        return evaluate(net, splits.test)[1]

    linear, network = accuracy([3072, 10]), accuracy([3072, 50, 10])
    assert 0.45 < network < 0.75
    assert linear < network - 0.1


BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
random = np.random.default_rng(0)
TINY = {name: (random.integers(0, 256, (2, 3072), np.uint8), random.permutation(2).tolist()) for name in BATCHES}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An archive like CIFAR-10's with two images a batch, its checksums in torchvision's place, and a server for it."""
    torchvision_cifar = pytest.importorskip("torchvision.datasets").CIFAR10
    site = tmp_path / "site"
    folder = site / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, (pixels, labels) in TINY.items():
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["no", "yes"]}))
    archive = site / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, folder.name)

    def md5(path):
        return hashlib.md5(path.read_bytes()).hexdigest()

    sums = [[name, md5(folder / name)] for name in BATCHES]
    monkeypatch.setattr(torchvision_cifar, "train_list", sums[:5])
    monkeypatch.setattr(torchvision_cifar, "test_list", sums[5:])
    monkeypatch.setattr(torchvision_cifar, "meta", {**torchvision_cifar.meta, "md5": md5(folder / "batches.meta")})
    monkeypatch.setattr(torchvision_cifar, "tgz_md5", md5(archive))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(site))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        monkeypatch.setattr(torchvision_cifar, "url", f"http://127.0.0.1:{running.server_port}/{archive.name}")
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield archive
        running.shutdown()
        thread.join()


@pytest.fixture
def no_network(server, monkeypatch):
    """Port 9 of this machine, where nobody answers."""
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    return server


def check_tiny_cifar(data):
    assert (data.name, data.warning, data.is_cifar10) == ("CIFAR-10", "", True)
    for images, labels, names in ((data.x_train, data.y_train, BATCHES[:5]), (data.x_test, data.y_test, BATCHES[5:])):
        raw = np.concatenate([TINY[name][0] for name in names])  # all reds, all greens, all blues of an image
        np.testing.assert_array_equal(images, raw.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        assert labels.tolist() == [label for name in names for label in TINY[name][1]]


@pytest.mark.usefixtures("server")
def test_cifar10_is_downloaded_once(tmp_path, monkeypatch):
    folder = tmp_path / "new" / "data"
    check_tiny_cifar(load("cifar10", folder))
    assert sorted(path.name for path in folder.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
    monkeypatch.setattr(data_sources, "download", None)
    check_tiny_cifar(load("auto", folder))


def test_an_archive_put_into_the_folder_is_unpacked(tmp_path, no_network):
    (tmp_path / "data").mkdir()
    no_network.rename(tmp_path / "data" / no_network.name)
    check_tiny_cifar(load("cifar10", tmp_path / "data"))


def test_a_damaged_archive_is_replaced(tmp_path, server):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / server.name).write_bytes(server.read_bytes()[:-10])
    check_tiny_cifar(load("cifar10", tmp_path / "data"))


def test_a_damaged_archive_is_named_where_there_is_no_network(tmp_path, no_network):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / no_network.name).write_bytes(b"half")
    with pytest.raises(OSError, match=r"cifar-10-python.tar.gz is damaged: its checksum is wrong"):
        load("cifar10", tmp_path / "data")


@pytest.mark.usefixtures("no_network")
def test_without_network_cifar10_says_the_ways_out(tmp_path):
    with pytest.raises(OSError, match=r"Connection refused.*Put cifar-10-python.tar.gz into .*FILE.npz.*synthetic"):
        load("cifar10", tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("no_network")
def test_without_network_auto_takes_the_stand_in_and_says_so(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data_sources, "synthetic", lambda: stand_in)
    data = load("auto", tmp_path / "data")
    assert (data.name, data.slug) == ("synthetic stand-in", "synthetic")
    assert "Connection refused" in capsys.readouterr().err
    assert "NOT on CIFAR-10" in data.warning


@pytest.mark.usefixtures("server")
def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(data_sources, "NETWORK_TIMEOUT", 0.3)
    with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as silent:  # accepts, and says nothing
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.server_address[1]}/x")
        with pytest.raises(OSError, match=r"cannot be downloaded: .*(timed out|no answer)"):
            load("cifar10", tmp_path / "data")


def test_a_download_that_stalls_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(data_sources, "NETWORK_TIMEOUT", 0.5)
    monkeypatch.setattr(
        http.server.SimpleHTTPRequestHandler, "copyfile", lambda *_: time.sleep(3)
    )  # answers, then stalls
    with pytest.raises(OSError, match=r"cannot be downloaded: .*timed out"):
        load("cifar10", tmp_path / "data")
    assert socket.getdefaulttimeout() is None
    assert server.exists()


def test_a_download_that_breaks_leaves_nothing(tmp_path, server):
    server.write_bytes(server.read_bytes()[:-10])  # now its checksum is wrong
    with pytest.raises(OSError, match="cannot be downloaded"):
        load("cifar10", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
