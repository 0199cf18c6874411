"""A graph as an ONNX model, written node by node: nothing is traced, and the largest takes a second.

The size of the pictures is fixed, as TensorFlow's padding depends on it; the batch is not, unless asked for.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from torchinception.engines.graph import Graph
from torchinception.engines.onnx_nodes import Nodes, add_operation
from torchinception.engines.operations import Input
from torchinception.engines.packages import not_imported
from torchinception.layers import Pair

if TYPE_CHECKING:
    import onnx

OPSET = 21  # of 2024: every runtime of the last two years reads it, and later ones change nothing that is used here
IR_VERSION = 10  # that opset's
PICTURES, LOGITS = "pictures", "logits"  # the input; the output of a graph that ends in no stage


def write_onnx(
    graph: Graph,
    size: Pair,
    *,
    batch: int | None = None,
    uint8: bool = False,
    stages: Iterable[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> "onnx.ModelProto":
    """The model, in float32, from `pictures` to `logits`, or to the stage that the graph ends in, by its name.

    Args:
        graph: what to write.
        size: height and width of the pictures.
        batch: how many pictures a call takes; None: any number.
        uint8: take uint8 (N, H, W, C), as pictures are cropped, instead of float32 (N, C, H, W); the graph gets them
            as they are, and has to scale them itself: see `rewrite.scale_input`.
        stages: outputs besides, each (N, C, H, W) and called as the stage is.
        metadata: texts by name that the model carries, such as its classes' names.

    Raises:
        UsageError: onnx is not installed, a stage is not in the graph, or the pictures are too small for it.
    """
    package = import_onnx()
    source = graph.nodes[0]
    assert isinstance(source.operation, Input)
    channels = source.operation.channels
    to = Nodes(package)
    to.shapes[PICTURES] = (*size, channels) if uint8 else (channels, *size)
    floats = package.TensorProto.FLOAT
    taken = package.TensorProto.UINT8 if uint8 else floats
    pictures = package.helper.make_tensor_value_info(PICTURES, taken, [batch or "N", *to.shapes[PICTURES]])
    value = PICTURES
    if uint8:  # bytes are turned round before they are four times as many
        value = to.add("Transpose", "/planes", value, shape=(channels, *size), perm=[0, 3, 1, 2])
        value = to.add("Cast", "/values", value, to=floats)
    to.add("Identity", _inside(source.name), value)
    for node in graph.nodes[1:]:
        add_operation(to, _inside(node.name), node.operation, *map(_inside, node.inputs))
    output = next((stage for stage, at in graph.stages.items() if at == graph.output), LOGITS)
    outputs = {output: graph.output} | {stage: graph.up_to(stage).output for stage in stages}
    answers = []
    for name, value in outputs.items():
        to.add("Identity", name, _inside(value))
        shape = [batch or "N", *to.shapes[name]]
        answers.append(package.helper.make_tensor_value_info(name, floats, shape))
    model: onnx.ModelProto = package.helper.make_model(
        package.helper.make_graph(to.nodes, "torchinception", [pictures], answers, to.weights),
        opset_imports=[package.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="torchinception",
    )
    package.helper.set_model_props(model, dict(metadata or {}))
    return model


def import_onnx() -> Any:
    """The package onnx.

    Raises:
        UsageError: it is not installed, or does not load.
    """
    try:
        import onnx
    except (ImportError, OSError) as error:
        raise not_imported(error, "onnx", "writing ONNX models needs", "onnx") from error
    return onnx


def _inside(name: str) -> str:
    """What a value is called in the model, where no input or output can be."""
    return f"/{name}"
