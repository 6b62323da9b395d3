"""A network's parameters as one vector, and torch held to what repeats.

Every parameter becomes a view into one flat tensor. The optimiser, the moving average, a checkpoint and the
best state are then each one vector of the same length.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..threads import OneThread

__all__ = ["Flat", "arrays_of", "device_of", "load_arrays", "one_torch_thread", "seeded"]

_streams = threading.RLock()


class Flat:
    """The parameters of a network as one vector ``values`` (p,) with its gradient ``gradient`` (p,).

    ``decays`` (p,) is 1 where weight decay applies, which is to matrices and kernels and not to biases.
    """

    def __init__(self, net: nn.Module) -> None:
        for module in net.modules():
            if getattr(module, "track_running_stats", False):
                raise ParameterError(
                    f"The network has a {type(module).__name__} with running statistics, which are neither "
                    "averaged nor kept in a checkpoint; use GroupNorm or LayerNorm."
                )
        parameters = [p for p in net.parameters() if p.requires_grad]
        if not parameters:
            raise ParameterError("The network has no parameters to train.")
        self.values = torch.cat([p.detach().reshape(-1) for p in parameters]).clone()
        self.gradient = torch.zeros_like(self.values)
        self.decays = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in parameters])
        self.decays = self.decays.to(self.values)
        start = 0
        for p in parameters:
            stop = start + p.numel()
            p.data = self.values[start:stop].view_as(p)
            p.grad = self.gradient[start:stop].view_as(p)
            start = stop

    @contextmanager
    def holding(self, values: Tensor) -> Iterator[None]:
        """Give the network other values for a while, such as their moving average."""
        kept = self.values.clone()
        self.values.copy_(values)
        try:
            yield
        finally:
            self.values.copy_(kept)


def arrays_of(net: nn.Module) -> dict[str, np.ndarray]:
    """Return the network's parameters by name, on the CPU. Its buffers follow from how it is made."""
    return {name: value.detach().cpu().numpy().copy() for name, value in net.named_parameters()}


def load_arrays(net: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays of :func:`arrays_of` into a network of the same shape.

    Raises
    ------
    ParameterError
        Where names or shapes differ, or a number is not finite.
    """
    expected = dict(net.named_parameters())
    if set(expected) != set(arrays):
        odd = sorted(set(expected) ^ set(arrays))[:3]
        raise ParameterError(f"The arrays are not those of this network: {odd} are missing or too many.")
    for name, value in expected.items():
        array = arrays[name]
        if not isinstance(array, np.ndarray) or array.shape != tuple(value.shape) or array.dtype.kind != "f":
            raise ParameterError(f"{name}: the network needs floats of shape {tuple(value.shape)}.")
        if not np.isfinite(array).all():
            raise ParameterError(f"{name} holds numbers that are not finite.")
        value.data.copy_(torch.from_numpy(np.array(array)))


def device_of(name: str) -> torch.device:
    """Return the device of this name; "auto" is the first GPU where there is one, else the CPU.

    Raises
    ------
    ParameterError
        Where the name means none, or one that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ParameterError(
            f'device must be "auto", "cpu" or the name of a GPU that is here, such as "cuda"; got {name!r} '
            f"({text})."
        ) from error
    return device


# torch's matrix products differ in their last bits between one thread and two, and the small networks of
# vectors gain little from a second.
one_torch_thread = OneThread(lambda: [torch]).inside


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this, torch's own random numbers start from ``seed``; afterwards they go on as before.

    They are one stream for all threads, so one thread at a time is inside.
    """
    with _streams, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
