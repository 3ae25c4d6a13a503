"""The stand-in for whatever is not here."""

import types
from collections.abc import Iterable
from typing import Any


class Swallow:
    """Takes every attribute, call, index and operation, and stays what it is."""

    def __init__(self, name: str = "stub") -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Swallow(f"{self._name}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        pass

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        if len(arguments) >= 1 and (isinstance(arguments[0], types.FunctionType | type)):
            return arguments[0]  # a decorator: @jit
        if self._name.split(".")[-1] == "trange":
            return range(*arguments)
        if "tqdm" in self._name and arguments and isinstance(arguments[0], Iterable):
            return arguments[0]
        return self

    def __iter__(self) -> Any:
        return iter((Swallow(self._name), Swallow(self._name)))

    def __getitem__(self, _: object) -> Any:
        return self

    def __setitem__(self, *_: object) -> None:
        pass

    def __or__(self, _: object) -> Any:  # a type hint: Tensor | None
        return self

    __ror__ = __or__

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __mro_entries__(self, _: object) -> tuple[type, ...]:
        return (object,)  # class Net(nn.Module) of a torch that is not here

    def __bool__(self) -> bool:
        return False
