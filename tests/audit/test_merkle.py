import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    MerkleError,
    consistency_path,
    consistent,
    frontier_at,
    inclusion_path,
    leaf_hash,
    nodes_of,
    range_path,
    root_of_inclusion,
    root_of_range,
)
from audit.tree import TreeFile, node_place, nodes_before

VECTOR = [
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
"""The leaves of the test vectors of Certificate Transparency (RFC 6962 and 9162), and the roots of their first n."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def model_root(data):
    """MTH of RFC 9162, section 2.1.1, word for word."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\0" + data[0]).digest()
    k = 1
    while 2 * k < len(data):
        k *= 2
    return hashlib.sha256(b"\1" + model_root(data[:k]) + model_root(data[k:])).digest()


def model_path(m, data):
    """PATH of section 2.1.3.1."""
    if len(data) == 1:
        return []
    k = 1
    while 2 * k < len(data):
        k *= 2
    if m < k:
        return [*model_path(m, data[:k]), model_root(data[k:])]
    return [*model_path(m - k, data[k:]), model_root(data[:k])]


def model_proof(m, data, *, whole=True):
    """SUBPROOF of section 2.1.4.1."""
    if m == len(data):
        return [] if whole else [model_root(data)]
    k = 1
    while 2 * k < len(data):
        k *= 2
    if m <= k:
        return [*model_proof(m, data[:k], whole=whole), model_root(data[k:])]
    return [*model_proof(m - k, data[k:], whole=False), model_root(data[:k])]


def grown(data):
    frontier = Frontier()
    for each in data:
        frontier.append(leaf_hash(each))
    return frontier


sizes = st.integers(1, 70)


def leaves(size):
    return [b"%d" % number for number in range(size)]


@pytest.mark.parametrize("size", range(1, 9))
def test_the_published_vectors(size):
    assert grown(VECTOR[:size]).root().hex() == ROOTS[size - 1] == model_root(VECTOR[:size]).hex()


def test_the_empty_tree():
    assert Frontier().root() == EMPTY_ROOT == model_root([])


def test_the_published_inclusion_and_consistency_proofs():
    nodes = nodes_of([leaf_hash(each) for each in VECTOR])
    assert [each.hex() for each in inclusion_path(nodes, 0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [each.hex() for each in consistency_path(nodes, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@given(sizes, st.data())
def test_inclusion_agrees_with_the_model_and_holds_for_its_leaf_alone(size, data):
    index = data.draw(st.integers(0, size - 1))
    content = leaves(size)
    path = inclusion_path(nodes_of([leaf_hash(each) for each in content]), index, size)
    assert path == model_path(index, content)
    assert root_of_inclusion(leaf_hash(content[index]), index, size, path) == model_root(content)
    assert root_of_inclusion(leaf_hash(b"another"), index, size, path) != model_root(content)
    for wrong in ([*path, b"\0" * 32], path[:-1] if path else [b"\0" * 32]):
        with pytest.raises(MerkleError, match="path"):
            root_of_inclusion(leaf_hash(content[index]), index, size, wrong)


@given(sizes, st.data())
def test_consistency_agrees_with_the_model_and_with_no_other_history(size, data):
    old = data.draw(st.integers(1, size))
    content = leaves(size)
    path = consistency_path(nodes_of([leaf_hash(each) for each in content]), old, size)
    assert path == model_proof(old, content)
    roots = model_root(content[:old]), model_root(content)
    assert consistent(old, size, *roots, path)
    other = [b"rewritten", *content[1:]]
    assert not consistent(old, size, model_root(other[:old]), roots[1], path)
    assert not consistent(old, size, roots[0], model_root(other), path)
    assert not consistent(old, size, *roots, [*path, b"\0" * 32])


@given(sizes, st.data())
def test_a_range_leads_to_the_root(size, data):
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    hashes = [leaf_hash(each) for each in leaves(size)]
    path = range_path(nodes_of(hashes), start, end, size)
    assert root_of_range(nodes_of(hashes[start:end], start), start, end, size, path) == model_root(leaves(size))
    with pytest.raises(MerkleError, match="too long"):
        root_of_range(nodes_of(hashes[start:end], start), start, end, size, [*path, b"\0" * 32])


@given(sizes)
def test_the_tree_file_holds_every_node_at_its_place_and_every_earlier_frontier(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("tree")
    tree, frontier = TreeFile(folder / "x.tree", writing=True), Frontier()
    for number, each in enumerate(leaves(size)):
        assert node_place(0, number) == nodes_before(number)
        tree.write(number, frontier.append(leaf_hash(each)))
    assert (folder / "x.tree").stat().st_size == 32 * nodes_before(size)
    for earlier in range(1, size + 1):
        assert frontier_at(tree.node, earlier).root() == model_root(leaves(earlier))
    assert tree.leaves(size // 2, size) == [leaf_hash(each) for each in leaves(size)[size // 2 :]]
    tree.close()


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_leaves_outside_the_tree_are_refused(index, size):
    with pytest.raises(MerkleError, match="not in a tree"):
        inclusion_path(nodes_of([]), index, size)
    with pytest.raises(MerkleError, match="not in a tree"):
        root_of_inclusion(b"", index, size, [])


def test_a_frontier_needs_its_peaks():
    with pytest.raises(MerkleError, match="2 peaks"):
        Frontier(5, [b""])
