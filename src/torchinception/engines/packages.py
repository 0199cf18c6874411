"""The runtimes' packages: which version is there, and what is told of one that is missing or broken."""

from importlib.metadata import PackageNotFoundError, packages_distributions, version

from torchinception.errors import UsageError


def package_version(module: str) -> str | None:
    """Of the distribution that brought a module, whose name comes first if it is another one; None if there is none.

    ONNX Runtime for GPUs is a distribution of its own, onnxruntime-gpu, and brings the same module onnxruntime.
    """
    try:
        return version(module)
    except PackageNotFoundError:
        others = sorted(set(packages_distributions().get(module, ())))
        return ", ".join(f"{name} {version(name)}" for name in others) or None


def not_imported(error: Exception, package: str, task: str, extra: str) -> UsageError:
    """What to raise when importing a package has failed: it is missing, or it is there and broken.

    Args:
        error: what the import raised.
        package: its module's name.
        task: what needs it, as the beginning of a sentence: "running in OpenVINO needs".
        extra: of this package, which brings it.
    """
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return UsageError(f"{task} {package}: pip install 'torchinception[{extra}]'")
    return UsageError(f"{task} {package}, which is installed but does not load: {error}; install it anew")
