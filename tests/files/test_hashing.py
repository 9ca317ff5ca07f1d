"""Content hashes: equal content has an equal hash, and any difference shows."""

import hashlib

import pytest

from rpo_bench.files.hashing import hash_file, hash_folder, hash_json


def test_of_json_is_that_of_its_compact_sorted_text():
    assert (
        hash_json({"b": 1, "a": [True, None, "é"]})
        == hashlib.sha256(b'{"a":[true,null,"\\u00e9"],"b":1}').hexdigest()
    )


def test_of_json_does_not_depend_on_the_order_of_keys_but_on_that_of_lists():
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    assert hash_json([1, 2]) != hash_json([2, 1])


def test_of_json_tells_types_apart():
    assert len({hash_json(value) for value in (1, "1", 1.5, True, None, [1], {"1": 1})}) == 7


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_of_json_has_no_place_for_what_json_has_not(value):
    with pytest.raises(ValueError, match="Out of range float values"):
        hash_json([value])


def test_of_a_file_is_that_of_its_bytes(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"\x00" * 3_000_000 + b"x")
    assert hash_file(file) == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "sub" / "weights").write_bytes(b"123")
    return root


class TestFolder:
    def test_is_the_same_wherever_it_lies(self, folder, tmp_path):
        before = hash_folder(folder)
        assert hash_folder(folder.rename(tmp_path / "elsewhere")) == before

    def test_shows_every_difference(self, folder):
        hashes = [hash_folder(folder)]
        (folder / "config.json").write_text("{ }")
        hashes.append(hash_folder(folder))
        (folder / "sub" / "weights").rename(folder / "weights")
        hashes.append(hash_folder(folder))
        (folder / "empty").touch()
        hashes.append(hash_folder(folder))
        assert len(set(hashes)) == 4

    def test_does_not_see_what_is_hidden(self, folder):
        before = hash_folder(folder)
        (folder / ".DS_Store").write_text("x")
        (folder / ".cache" / "huggingface").mkdir(parents=True)
        (folder / ".cache" / "huggingface" / "config.json.metadata").write_text("1700000000.0")
        assert hash_folder(folder) == before
