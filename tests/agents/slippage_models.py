"""Slippage models made by hand: one tree with one question, so that what it must add is known."""

import base64
import hashlib

import msgspec
import onnx
from onnx import TensorProto, helper

from agents.execution.slippage import FEATURES, SlippageModel
from events.types import ModelEvent

BUYS, SALES = 2.5, -1.25  # basis points that the model adds to the spread's forecast


def onnx_of(buys=BUYS, sales=SALES, features=8):
    """A tree: side <= 0 gives ``sales``, else ``buys``."""
    node = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["variable"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[FEATURES.index("side"), 0, 0],
        nodes_values=[0.0, 0.0, 0.0], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0], target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0],
        target_weights=[sales, buys],
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "slippage",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 1)], ir_version=10
    )
    onnx.checker.check_model(made)
    return made.SerializeToString()


def model(version=1, raw=None, **fields):
    given = {
        "version": version, "features": list(FEATURES),
        "onnx": base64.b64encode(onnx_of() if raw is None else raw).decode(),
        "observations": 200, "fitted_through_ns": 0, "walk_forward": None, "method": "by hand",
    } | fields  # fmt: skip
    return SlippageModel(**given)


def event(given, effective_from_ns=0, **fields):
    content = msgspec.json.encode(given)
    named = {
        "name": "slippage", "version": given.version, "outcome": "fitted",
        "occurrence": f"refit_slippage:test:{given.version}", "sha256": hashlib.sha256(content).hexdigest(),
        "effective_from_ns": effective_from_ns, "content": msgspec.Raw(content),
    } | fields  # fmt: skip
    return ModelEvent(**named)
