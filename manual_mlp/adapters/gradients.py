"""Gradients in whatever a program returns them: tuples, lists, dictionaries, objects, attributes."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from manual_mlp.adapters.arrangement import ETA, Arrangement, Inputs, arranged, reference
from manual_mlp.adapters.guard import Failed
from manual_mlp.adapters.instances import every_attribute, held_parameters
from manual_mlp.adapters.parts import Network, Part, gives_nothing
from manual_mlp.adapters.roles import (
    gradient_role,
    returned_names,
    role_of,
    unpacked_names,
)
from manual_mlp.adapters.swallow import Swallow
from manual_mlp.layers import Array

OURS = {"W": "linear{}.weight", "b": "linear{}.bias", "gamma": "bn{}.weight", "beta": "bn{}.bias"}


class Leaf(NamedTuple):
    path: tuple[str | int, ...]
    value: Any


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key if isinstance(key, int) else str(key)))
    elif (
        isinstance(value, list | tuple) and not (value and all(isinstance(v, int | float | np.floating) for v in value))
    ) or (isinstance(value, np.ndarray) and value.dtype == object):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    elif value is None or isinstance(value, Swallow | str | bool):
        return
    elif isinstance(value, np.ndarray | int | float | np.generic | list | tuple):
        yield Leaf(path, np.asarray(value, dtype=np.float64))
    elif hasattr(value, "__dict__"):
        named = {key: inner for key, inner in vars(value).items() if gradient_role(key) is not None}
        alone = {key: inner for key, inner in named.items() if role_of(key) is None}  # grad_W beside W
        for key, inner in (alone or named).items():
            yield from leaves(inner, (*path, key))


def gradients_in(network: Network, result: Any, instance: Any, how: Arrangement, given: Inputs) -> dict[str, Array]:
    """The gradients under our names and in our layout; in the shapes that they have, apart from that. Where one
    function computes them and makes the step, they are what the step says about them: (old - new) / eta.
    """
    part = network.gradients
    assert part is not None
    expected = arranged(how, given)
    named = with_names(network, part, result)
    found = list(leaves(named))
    if not any(leaf.value.ndim >= 1 for leaf in found) and instance is not None:
        found = list(
            leaves({name: v for name, v in every_attribute(instance) if gradient_role(name) and not role_of(name)})
        )
    fused = {role.kind for p in part.parameters() if (role := role_of(p.name))} & {"eta"}
    if not any(leaf.value.ndim >= 1 for leaf in found) and instance is not None:
        stepped = held_parameters(instance, how, given)
        moved = any(
            not np.array_equal(new, old.reshape(new.shape))
            for kind, values in stepped.items()
            for new, old in zip(values, expected[kind], strict=True)
            if new.size == old.size
        )
        found = (
            [Leaf((kind, number), v) for kind, vs in stepped.items() for number, v in enumerate(vs)] if moved else []
        )
        fused = {"eta"} if moved else fused
    if not found:
        if result is not None and not is_empty(result):
            raise Failed(
                part.title, "missing", f"returns a {type(result).__name__} in which no gradients were recognized"
            )
        raise gives_nothing(network.program, part, "returns no gradients, and leaves none where they could be told")
    chosen = matched(found, expected, lambda kind, layer: of_kind(reference(given)[2], kind, layer))
    if not chosen:
        raise Failed(part.title, "missing", "returns arrays, none of which has the shape of a gradient")
    if fused:
        chosen = {
            (kind, layer): (expected[kind][layer - 1].reshape(value.shape) - value) / ETA
            if value.size == expected[kind][layer - 1].size
            else value
            for (kind, layer), value in chosen.items()
        }
    gradients = {}
    own = held_parameters(instance, how, given) if instance is not None else {}
    for (kind, layer), value in chosen.items():
        ours = OURS[kind].format(layer)
        parameter = own.get(kind, expected[kind])[layer - 1]  # as the object itself holds it
        gradients[ours] = as_ours(network, how, part, ours, value, parameter.shape)
    return gradients


def under_our_names(how: Arrangement, chosen: Mapping[tuple[str, int], Array]) -> dict[str, Array]:
    """Values of parameters in their layout, in ours."""
    return {
        OURS[kind].format(layer): (value.T if how.turned else value) if kind == "W" else value.reshape(-1)
        for (kind, layer), value in chosen.items()
    }


def is_empty(result: Any) -> bool:
    """Nothing, or containers with nothing in them but None."""
    values = result.values() if isinstance(result, Mapping) else result
    return result is None or (isinstance(result, Mapping | list | tuple) and all(is_empty(value) for value in values))


def as_ours(network: Network, how: Arrangement, part: Part, ours: str, value: Array, shape: tuple[int, ...]) -> Array:
    if ours.startswith("linear") and ours.endswith("weight"):
        return value.T if how.turned else value
    if value.shape == shape:
        return value.reshape(-1)
    if value.shape == shape[::-1] and turned_later(network):
        return value.reshape(-1)
    if value.size == np.prod(shape) and value.ndim <= 1 and not reshaped_later(network):
        place = ours
        network.program.guard.shapes.setdefault(
            place,
            f"{part.title} returns it with shape {value.shape}, the bias itself is {shape}: in an update NumPy would "
            f"broadcast the two to {np.broadcast_shapes(value.shape, shape)}. Sum with keepdims=True",
        )
        return value
    return value


def reshaped_later(network: Network) -> bool:
    """Does the file bring such gradients into shape itself, where it uses them?"""
    text = "\n".join(network.program.source.lines)
    used = [line for line in text.split("\n") if "grad" in line.lower() or "db" in line.lower()]
    return any(
        word in line for line in used for word in ("reshape", "newaxis", ":, None]", "expand_dims", "atleast_2d")
    )


def turned_later(network: Network) -> bool:
    """Does the file transpose what it takes off a bias?"""
    text = "\n".join(network.program.source.lines)
    return re.search(r"\bb\d?(\[[^]]*\])?\s*(-=|=[^=].*-).*\.T\b", text) is not None


def with_names(network: Network, part: Part, result: Any) -> Any:
    """A tuple as a dictionary, by the names under which its callers take it, or else the function returns it."""
    if not isinstance(result, tuple | list) or isinstance(result, Mapping):
        return result
    namings = unpacked_names(network.program.trees, part.name) + (returned_names(part.tree) if part.tree else [])
    for naming in namings:
        known = [gradient_role(name) for name in naming]
        if len(naming) == len(result) and sum(role is not None for role in known) >= min(2, len(naming)):
            keys = [name if naming.count(name) == 1 else f"{name}{number}" for number, name in enumerate(naming)]
            return {key or f"_{n}": value for n, (key, value) in enumerate(zip(keys, result, strict=True))}
    return result


def matched(
    found: Sequence[Leaf], expected: Mapping[str, list[Array]], right: Callable[[str, int], Array]
) -> dict[tuple[str, int], Array]:
    """Which leaf is the gradient of which parameter: by name, by number, by shape, by order; of several parameters of
    one shape, in the order of kinds in which most values are `right`.
    """
    chosen: dict[tuple[str, int], Array] = {}
    nameless = []
    by_kind: dict[str, list[tuple[int | None, Array]]] = {}
    names = {step for leaf in found for step in leaf.path if isinstance(step, str)}
    alike = {name for name in names if any(name != other and name.lower() == other.lower() for other in names)}
    for leaf in found:
        said = [step for step in leaf.path if isinstance(step, str) and step not in alike]  # gb and gB say nothing
        roles = [gradient_role(step) for step in said]
        role = next((r for r in reversed(roles) if r is not None), None)
        if role is not None and role.kind in expected:
            numbers = [step for step in leaf.path if isinstance(step, int)]
            by_kind.setdefault(role.kind, []).append(
                (role.layer if role.layer is not None else numbers[-1] if numbers else None, leaf.value)
            )
        elif not [r for r in roles if r is not None] and not any(map(role_of, said)):
            nameless.append(leaf)
    for kind, entries in by_kind.items():
        if len(entries) == 1 and len(expected[kind]) > 1 and entries[0][1].shape == (len(expected[kind]),):
            entries = [(number, value) for number, value in enumerate(entries[0][1])]  # a single number for each layer
        place(chosen, kind, [value for _, value in sorted(entries, key=lambda entry: entry[0] or 0)], expected[kind])
    lacking = [
        (kind, n) for kind, values in expected.items() for n in range(1, len(values) + 1) if (kind, n) not in chosen
    ]
    if not lacking or not nameless:
        return chosen
    if not by_kind and (grouped := in_groups(nameless, expected)):
        return grouped
    orders = [by_shape(nameless, lacking, expected, kinds) for kinds in itertools.permutations(expected)]

    def agreeing(order: Mapping[tuple[str, int], Array]) -> int:
        return sum(
            value.size == right(*key).size and np.allclose(value.ravel(), right(*key).ravel(), rtol=1e-3)
            for key, value in order.items()
        )

    return chosen | max(orders, key=lambda order: (len(order), agreeing(order)))


def in_groups(nameless: Sequence[Leaf], expected: Mapping[str, list[Array]]) -> dict[tuple[str, int], Array]:
    """A list for each kind: ([dW1, dW2], [db1, db2])."""
    chosen: dict[tuple[str, int], Array] = {}
    groups = sorted({leaf.path[:-1] for leaf in nameless if len(leaf.path) > 1})
    by_group = [[leaf.value for leaf in nameless if leaf.path[:-1] == group] for group in groups]
    if len(groups) == len(expected) and sorted(map(size_of, by_group[0])) == sorted(map(size_of, expected["W"])):
        for kind, values in zip(expected, by_group, strict=True):
            place(chosen, kind, values, expected[kind])
    return chosen


def by_shape(
    nameless: Sequence[Leaf],
    lacking: Sequence[tuple[str, int]],
    expected: Mapping[str, list[Array]],
    kinds: Sequence[str],
) -> dict[tuple[str, int], Array]:
    """Every array to the first parameter of its shape that has none; what has no such shape, to those that are left."""
    chosen: dict[tuple[str, int], Array] = {}
    rest = []
    for leaf in nameless:
        for key in sorted(lacking, key=lambda key: kinds.index(key[0])):
            if key not in chosen and size_of(leaf.value) == size_of(expected[key[0]][key[1] - 1]):
                chosen[key] = leaf.value
                break
        else:
            rest.append(leaf)
    left = [key for key in lacking if key not in chosen]
    of_size = [leaf for leaf in rest if leaf.value.size in {expected[kind][n - 1].size for kind, n in left}]
    for leaf in of_size:  # a gradient that came out transposed, say
        free = next((k for k in left if k not in chosen and expected[k[0]][k[1] - 1].size == leaf.value.size), None)
        if free is not None:
            chosen[free] = leaf.value
    return chosen


def of_kind(gradients: Mapping[str, Array], kind: str, layer: int) -> Array:
    return gradients[OURS[kind].format(layer)]


def place(chosen: dict[tuple[str, int], Array], kind: str, values: Sequence[Array], expected: Sequence[Array]) -> None:
    """One kind's gradients to the layers: in order, or in the order in which they fit."""
    if len(values) < len(expected):  # the others have no name: by shape
        for value in values:
            fitting = (
                n for n, e in enumerate(expected, start=1) if size_of(e) == size_of(value) and (kind, n) not in chosen
            )
            if (layer := next(fitting, None)) is not None:
                chosen[kind, layer] = value
        return
    fits = [size_of(v) == size_of(e) for v, e in zip(values, expected, strict=False)]
    if not all(fits) and len(values) == len(expected):
        backward = [size_of(v) == size_of(e) for v, e in zip(reversed(values), expected, strict=True)]
        if all(backward):
            values = list(reversed(values))
    for layer, value in enumerate(values[: len(expected)], start=1):
        chosen[kind, layer] = value


def size_of(value: Array) -> tuple[int, ...]:
    return tuple(length for length in np.shape(value) if length != 1)
