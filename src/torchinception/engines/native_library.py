"""The native engine's C interface (native/include/torchinception.h), by ctypes; what each call does is said there."""

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchinception.engines.operations import UNPADDED, Sides
from torchinception.errors import UsageError

VERSION = 2  # of the interface
LEVELS = {"avx2": 1, "avx512": 2, "neon": 3}
TIERS = {"direct": 0, "default": 1, "fast": 2}
POOLS = {"max": 0, "average": 1, "average with padding": 2, "adaptive": 3, "filter": 4}
FLOAT_NCHW, FLOAT_NHWC, UINT8_NHWC = range(3)
FLOATS: Any = dict(dtype=torch.float32, device="cpu")  # whatever the defaults of PyTorch are
PATHS = (
    Path(__file__).parents[1] / "libtorchinception.so",
    Path(__file__).parents[3] / "native/build/libtorchinception.so",
)


class View(ctypes.Structure):
    """Channels `offset` to `offset + channels` of a buffer."""

    _fields_ = (("buffer", c_int), ("offset", c_int), ("channels", c_int))


class _Padding(ctypes.Structure):
    _fields_ = tuple((side, c_int) for side in Sides._fields)


NOTHING = View(-1, 0, 0)
POINT = ("max", (1, 1), 1, UNPADDED, None, False)  # a pool that is its input


class Segment(ctypes.Structure):
    """Where some of a convolution's outputs go, and what is added to them."""

    _fields_ = (("to", View), ("added", View), ("relu", c_int))

    def __init__(self, to: View, added: View = NOTHING, relu: bool = False) -> None:
        super().__init__(to, added, relu)


_OUT, _FLOATS = POINTER(c_void_p), c_void_p
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "measure": (c_int, c_int, c_double, POINTER(c_double), POINTER(c_double)),
    "context_create": (c_int, c_int, _OUT),
    "algorithm_fits": (c_int, c_int, c_int, c_int),
    "choose": (c_void_p, *[c_int] * 9),
    "weights_create": (c_void_p, c_int, c_void_p, c_void_p, *[c_int] * 4, POINTER(c_int), c_int, _OUT),
    "plan_create": (c_void_p, c_int, _OUT),
    "plan_buffer": (c_void_p, c_int, c_int, c_int),
    "plan_pictures": (c_void_p, View, c_int, c_int, _Padding, c_int, _FLOATS, _FLOATS),
    "plan_convolution": (c_void_p, View, c_void_p, c_int, _Padding, POINTER(Segment), c_int),
    "plan_pool": (c_void_p, View, *[c_int] * 4, _Padding, _FLOATS, c_int, _FLOATS, _FLOATS, View, View, c_int),
    "plan_response_norm": (c_void_p, View, c_int, c_float, c_float, c_float, View),
    "plan_finish": (c_void_p, POINTER(c_int), c_int),
    "plan_run": (c_void_p, c_int, c_int, c_void_p, POINTER(c_void_p), POINTER(c_int64)),
    **dict.fromkeys(("interface_version", "algorithms", "last_error"), ()),
    **dict.fromkeys(("has_level", "algorithm_name"), (c_int,)),
    **dict.fromkeys(("context_destroy", "weights_destroy", "plan_destroy", "weights_bytes", "plan_bytes"), (c_void_p,)),
}
RESULTS = {"error": c_char_p, "name": c_char_p, "bytes": c_size_t, "destroy": None}  # by last words; else a status


class Library:
    """The shared library, loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            loaded = ctypes.CDLL(str(path))
        except OSError as error:
            raise UsageError(f"the native engine's library cannot be loaded: {error}") from error
        self.functions = {name: getattr(loaded, f"inception_{name}") for name in SIGNATURES}
        for name, function in self.functions.items():
            function.restype, function.argtypes = RESULTS.get(name.split("_")[-1], c_int), SIGNATURES[name]
        if (version := self.call("interface_version")) != VERSION:
            raise UsageError(f"{path} is of interface {version}, expected {VERSION}: build it anew")
        names = map(self.functions["algorithm_name"], range(self.call("algorithms")))
        self.algorithms = tuple(str(name, "ascii") for name in names)

    def call(self, name: str, *arguments: Any) -> int:
        """What a function returns, 0 or more.

        Raises:
            UsageError: it failed.
        """
        if (status := self.functions[name](*arguments)) < 0:
            raise UsageError(f"native engine: {self.functions['last_error']().decode()}")
        return int(status)

    def levels(self) -> tuple[str, ...]:
        """The instruction sets that are compiled in and that this processor has."""
        return tuple(name for name, number in LEVELS.items() if self.call("has_level", number))

    def measure(self, level: str, depth: int, seconds: float) -> tuple[float, float]:
        """GFLOP/s of one thread: of multiply-adds in registers, and of the matrix product."""
        peak, product = c_double(), c_double()
        self.call("measure", LEVELS[level], depth, seconds, ctypes.byref(peak), ctypes.byref(product))
        return peak.value, product.value


@cache
def load(path: Path | None = None) -> Library:
    """The library that was built with the package, or at `path`.

    Raises:
        UsageError: there is none, or it does not fit.
    """
    found = path or next((candidate for candidate in PATHS if candidate.exists()), None)
    if found is None:
        raise UsageError("the native engine was not built with this installation, which takes a C++ compiler and CMake")
    return Library(found)


class _Owner:
    """Something that the library creates, and that is destroyed with this object; `needs` live as long."""

    def __init__(self, library: Library, kind: str, *arguments: object, needs: Sequence[object] = ()) -> None:
        self.loaded, self.kind, self.needs, self._as_parameter_ = library, kind, [*needs], c_void_p()
        library.call(f"{kind}_create", *arguments, ctypes.byref(self._as_parameter_))
        weakref.finalize(self, library.functions[f"{kind}_destroy"], self._as_parameter_)

    @property
    def bytes(self) -> int:
        """Of packed weights, or of all that a plan has but the outputs; a context has none."""
        return int(self.loaded.functions[f"{self.kind}_bytes"](self))


class Context(_Owner):
    """Instruction set and threads."""

    def __init__(self, library: Library, level: str | None = None, threads: int = 1) -> None:
        self.level = LEVELS[level] if level else max((LEVELS[name] for name in library.levels()), default=0)
        super().__init__(library, "context", self.level, threads)

    def choose(self, tier: str, shape: Sequence[int], stride: int, images: int, height: int, width: int) -> str:
        """The algorithm that the written rule expects to be quickest for a kernel (C', C, h, w)."""
        outputs, inputs, *kernel = shape
        arguments = (TIERS[tier], inputs, outputs, *kernel, stride, images, height, width)
        return self.loaded.algorithms[self.loaded.call("choose", self, *arguments)]


class Weights(_Owner):
    """A kernel (C', C, h, w) and bias (C') or None, packed for an algorithm; `segments` add up to C'."""

    def __init__(
        self, context: Context, algorithm: str, kernel: Tensor, bias: Tensor | None, segments: Sequence[int] = ()
    ) -> None:
        parts, number = tuple(segments) or (len(kernel),), context.loaded.algorithms.index(algorithm)
        given = [each if each is None else each.detach().double().contiguous() for each in (kernel, bias)]
        pointers = [each if each is None else each.data_ptr() for each in given]
        arguments = (context, number, *pointers, *kernel.shape, (c_int * len(parts))(*parts), len(parts))
        super().__init__(context.loaded, "weights", *arguments, needs=(context,))


class Plan(_Owner):
    """Buffers and operations for pictures of one size, up to `batch` at a time."""

    def __init__(self, context: Context, batch: int) -> None:
        super().__init__(context.loaded, "plan", context, batch, needs=(context,))
        self.shapes, self.outputs, self.operations = list[tuple[int, int, int]](), tuple[int, ...](), 0

    def buffer(self, height: int, width: int, channels: int) -> View:
        """All channels of a new buffer."""
        self.shapes.append((height, width, channels))
        return View(self.loaded.call("plan_buffer", self, height, width, channels), 0, channels)

    def add(self, operation: str, *arguments: object) -> None:
        """Call `inception_plan_<operation>` with the rest of its arguments, in their order.

        Numbers, views and None are given as they are, pairs as two numbers, pools by name; tensors become float32,
        `Sides` padding, and a list of segments an array and its length. Weights live as long as the plan.

        Raises:
            UsageError: it cannot be: sizes that do not fit.
        """
        self.needs += [argument for argument in arguments if isinstance(argument, Weights)]
        given = list[Any]()
        for argument in arguments:
            if isinstance(argument, Tensor):
                given.append((c_float * argument.numel())(*argument.flatten().tolist()))
            elif isinstance(argument, Sides):
                given.append(_Padding(*argument))
            elif isinstance(argument, list):
                given += ((Segment * len(argument))(*argument), len(argument))
            elif isinstance(argument, tuple):
                given += argument
            else:
                given.append(POOLS.get(argument, argument) if isinstance(argument, str) else argument)
        self.operations = self.loaded.call(f"plan_{operation}", self, *given) + 1

    def finish(self, *outputs: View) -> None:
        """No more operations; the buffers of these views are what `run` returns, in this order."""
        self.outputs = tuple(view.buffer for view in outputs)
        self.loaded.call("plan_finish", self, (c_int * len(outputs))(*self.outputs), len(outputs))

    def run(self, pictures: Tensor, into: Sequence[Tensor] | None = None, nanoseconds: Any = None) -> list[Tensor]:
        """Float32 (N, C, H, W) or uint8 (N, H, W, C) -> each output, float32 (N, C, H, W), channels last in memory.

        `into`: memory for the outputs, contiguous (N, H, W, C). `nanoseconds`: a ctypes array of int64, which is told
        what each operation took.
        """
        if pictures.dtype == torch.uint8:
            layout, pictures = UINT8_NHWC, pictures.contiguous()
        elif pictures.is_contiguous():
            layout = FLOAT_NCHW
        else:
            layout, pictures = FLOAT_NHWC, pictures.contiguous(memory_format=torch.channels_last)
        results = into or [torch.empty(len(pictures), *self.shapes[buffer], **FLOATS) for buffer in self.outputs]
        places = (c_void_p * len(results))(*(result.data_ptr() for result in results))
        self.loaded.call("plan_run", self, len(pictures), layout, pictures.data_ptr(), places, nanoseconds)
        return [result.permute(0, 3, 1, 2) for result in results]
