"""The stand-in for whatever is not here."""

import types
from collections.abc import Iterable
from typing import Any


class NotHere(TypeError):
    """Somebody computes with the stand-in."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not run here")
        self.name = name


class Swallow:
    """Takes every attribute, call and index, and stays what it is; there are no numbers in it to compute with."""

    __array_ufunc__ = None  # so that NumPy asks it first

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
            return Progress(self._name, range(*arguments))
        if "tqdm" in self._name and arguments and isinstance(arguments[0], Iterable):
            return Progress(self._name, arguments[0])
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

    def _compute(self, *_: object) -> Any:
        raise NotHere(self._name)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _compute
    __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _compute
    __neg__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = __index__ = __len__ = _compute


class Progress(Swallow):
    """A progress bar, which goes through what it was given."""

    def __init__(self, name: str, items: Iterable[Any]) -> None:
        super().__init__(name)
        self.__dict__["_items"] = items

    def __iter__(self) -> Any:
        return iter(self.__dict__["_items"])

    def __bool__(self) -> bool:
        return True
