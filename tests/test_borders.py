"""The catalogue of bad input to the public functions: a ValueError that names the argument, what it was, the remedy.

What scripts make of bad settings, files and folders stands in test_run_cycles, test_data_sources and test_resume.
"""

import numpy as np
import pytest

from manual_mlp import (
    MLP,
    Adam,
    AdamW,
    FlipsAndShifts,
    Momentum,
    adaptive_batch_norm,
    compare_gradients,
    cosine_decay,
    cyclical_learning_rate,
    directional_gradients,
    evaluate,
    linear_decay,
    minibatches,
    numerical_gradients,
    one_cycle,
    precise_batch_norm,
    sgd_update,
    train,
)
from torch_reference import autograd_gradients, mirror, mirror_back

X = np.random.default_rng(0).normal(size=(6, 5))
Y = np.array([0, 1, 2, 0, 1, 2])


def rng():
    return np.random.default_rng(0)


def mlp(sizes=(5, 4, 3), **settings):
    return MLP(sizes, **{"batch_norm": True, "rng": rng(), "dtype": np.float64, **settings})


def trained(data=(X, Y), validation=(X, Y), **settings):
    defaults = {"learning_rate": lambda _: 0.1, "updates": 2, "record_every": 1, "batch_size": 3, "rng": rng()}
    return train(mlp(), data, validation, **{**defaults, **settings})


def updated(kind, gradients):
    """One update with what `gradients` makes of the parameters."""
    net = mlp()
    kind(net.parameters)(net.parameters, gradients(net.parameters), 0.1)


def optimizer(kind, dtype=np.float64, **settings):
    return kind(mlp(dtype=dtype).parameters, **settings)


def directional(**changes):
    net = mlp()
    arguments = {"gradients": dict(net.parameters), "directions": 2, "rng": rng(), **changes}
    return directional_gradients(net, x=X, y=Y, **arguments)


def augmented(batch=X, shape=(1, 5, 1), stream=None, **settings):
    return FlipsAndShifts(shape, **{"shift": 0, **settings})(batch, rng() if stream is None else stream)


def with_entry(value):
    x = X.copy()
    x[4, 2] = value
    return x


BAD = {
    # the network
    "sizes: a string": (lambda: mlp("5,4,3"), r"sizes\[0\] is '5'"),
    "sizes: none": (lambda: mlp(None), r"sizes is \(None,\); it must name at least the inputs and the classes"),
    "sizes: empty": (lambda: mlp([]), r"sizes is \(\)"),
    "sizes: inputs alone": (lambda: mlp([5]), r"sizes is \(5,\)"),
    "sizes: a width of 0": (lambda: mlp([5, 0, 3]), r"sizes\[1\] is 0; it must be an integer of at least 1"),
    "sizes: a fraction": (lambda: mlp([5, 4.5, 3]), r"sizes\[1\] is 4.5"),
    "sizes: a truth value": (lambda: mlp([True, 3]), r"sizes\[0\] is True"),
    "batch_norm: a string": (lambda: mlp(batch_norm="yes"), "batch_norm is 'yes'; it must be True or False"),
    "batch_norm: a number": (lambda: mlp(batch_norm=1), "batch_norm is 1"),
    "relu_first: without batch norm": (lambda: mlp(batch_norm=False, relu_first=True), "relu_first is True without"),
    "relu_first: a number": (lambda: mlp(relu_first=1), "relu_first is 1; it must be True or False"),
    "dropout: 1": (lambda: mlp(dropout=1), "dropout is 1; it must be at least 0 and below 1"),
    "dropout: negative": (lambda: mlp(dropout=-0.1), "dropout is -0.1"),
    "dropout: NaN": (lambda: mlp(dropout=np.nan), "dropout is nan"),
    "dropout: True": (lambda: mlp(dropout=True), "dropout is True"),
    "label_smoothing: 1": (lambda: mlp(label_smoothing=1.0), "label_smoothing is 1.0; it must be at least 0 and below"),
    "label_smoothing: a string": (lambda: mlp(label_smoothing="0.1"), "label_smoothing is '0.1'"),
    "skips: unequal widths": (
        lambda: mlp([5, 4, 3, 3, 2], skips=[3, 2]),
        r"skips\[1\] is 2: that layer takes in 4 features, puts out 3; a skip adds the two",
    ),
    "skips: the output layer": (
        lambda: mlp([5, 4, 4], skips=(2,)),
        "skips.0. is 2; the hidden layers have the numbers 1",
    ),
    "skips: twice": (
        lambda: mlp([4, 4, 4, 4], skips=[2, 1, 2]),
        r"^skips\[2\] is 2, which is named before; a layer has one skip: name it once$",
    ),
    "skips: 0": (lambda: mlp([4, 4, 4], skips=(0,)), r"skips\[0\] is 0; it must be an integer of at least 1"),
    "skips: True": (lambda: mlp([4, 4, 4], skips=True), r"skips is True; it must name hidden layers, as in \(2, 3\)"),
    "skips: a string": (lambda: mlp([4, 4, 4], skips="1"), "skips is '1'"),
    "masks: missing": (
        lambda: mlp(dropout=0.5).cost_and_gradients(X, Y),
        r"masks is None; training with dropout needs masks=net.dropout_masks\(6, rng\)",
    ),
    "masks: of other images": (
        lambda: mlp(dropout=0.5).forward(X, True, mlp(dropout=0.5).dropout_masks(5, rng())),
        r"masks has the shapes \[\(5, 4\)\]; it needs \[\(6, 4\)\]",
    ),
    "masks: at test time": (
        lambda: mlp(dropout=0.5).forward(X, masks=mlp(dropout=0.5).dropout_masks(6, rng())),
        "masks are given, but this pass drops nothing",
    ),
    "masks: a number": (lambda: mlp(dropout=0.5).cost(X, Y, training=True, masks=3), "masks is 3; it must be a list"),
    "masks: a seed": (lambda: mlp(dropout=0.5).dropout_masks(6, 0), "rng is 0; it must be a numpy.random.Generator"),
    "masks: of no images": (lambda: mlp(dropout=0.5).dropout_masks(0, rng()), "images is 0"),
    "precise statistics: of a plain network": (
        lambda: precise_batch_norm(mlp(batch_norm=False), X),
        "net has no batch normalization",
    ),
    "precise statistics: batches of one": (lambda: precise_batch_norm(mlp(), X, 1), "batch_size is 1"),
    "adaptive statistics: of one image": (lambda: adaptive_batch_norm(mlp(), X[:1]), r"x has shape \(1, 5\): batch"),
    "adaptive statistics: of rows of unequal length": (
        lambda: adaptive_batch_norm(mlp(), [[1.0], []]),
        "x is no array",
    ),
    "adaptive statistics: of none": (lambda: adaptive_batch_norm(mlp(), None), "x has dtype object"),
    "initializer: unknown": (lambda: mlp(initializer="lecun"), "initializer is 'lecun'"),
    "initializer: negative": (lambda: mlp(initializer=-1.0), "initializer is -1.0"),
    "initializer: NaN": (lambda: mlp(initializer=np.nan), "initializer is nan"),
    "initializer: infinite": (lambda: mlp(initializer=np.inf), "initializer is inf"),
    "initializer: none": (lambda: mlp(initializer=None), "initializer is None"),
    "rng: a seed": (lambda: mlp(rng=0), "rng is 0; it must be a numpy.random.Generator"),
    "rng: the old kind": (lambda: mlp(rng=np.random.RandomState(0)), "rng is RandomState"),
    "rng: none": (lambda: mlp(rng=None), "rng is None"),
    "dtype: integers": (lambda: mlp(dtype=int), "dtype is <class 'int'>; it must be float32"),
    "dtype: half": (lambda: mlp(dtype=np.float16), "dtype is .*float16"),
    "dtype: big-endian": (lambda: mlp(dtype=">f4"), "dtype is '>f4'"),
    "dtype: complex": (lambda: mlp(dtype=complex), "dtype is <class 'complex'>"),
    # images
    "x: one image without its axis": (lambda: mlp().forward(X[0]), r"x has shape \(5,\); it must be \(N, 5\)"),
    "x: too narrow": (lambda: mlp().forward(X[:, :4]), r"x has shape \(6, 4\); it must be \(N, 5\)"),
    "x: not flattened": (lambda: mlp().forward(X.reshape(6, 5, 1, 1)), r"x has shape \(6, 5, 1, 1\)"),
    "x: empty": (lambda: mlp().forward(X[:0]), r"x has shape \(0, 5\)"),
    "x: NaN": (lambda: mlp().forward(with_entry(np.nan)), r"x\[4, 2\] is nan; every value must be a finite float64"),
    "x: infinite": (lambda: mlp().cost(with_entry(-np.inf), Y), r"x\[4, 2\] is -inf"),
    "x: beyond float32": (lambda: mlp(dtype=np.float32).forward(with_entry(1e300)), r"x\[4, 2\] is inf"),
    "x: a string": (lambda: mlp().forward("x"), "x has dtype <U1"),
    "x: none": (lambda: mlp().forward(None), "x has dtype object"),
    "x: objects": (lambda: mlp().forward(X.astype(object)), "x has dtype object; it must hold real numbers"),
    "x: complex": (lambda: mlp().forward(X + 1j), "x has dtype complex128"),
    "x: truth values": (lambda: mlp().forward(X > 0), "x has dtype bool"),
    "x: dates": (lambda: mlp().forward(np.zeros((2, 5), "M8[s]")), "x has dtype datetime64"),
    "x: ragged": (lambda: mlp().forward([[1, 2], [1]]), "x is no array"),
    "x: masked": (lambda: mlp().forward(np.ma.masked_array(X, X > 1)), "x is a masked array"),
    "x: a batch of one": (
        lambda: mlp().forward(X[:1], training=True),
        "batch normalization has no statistics of one image",
    ),
    "training: a string": (lambda: mlp().forward(X, training="no"), "training is 'no'; it must be True or False"),
    # labels
    "y: one-hot": (lambda: mlp().cost(X, np.eye(3)[Y]), r"y has shape \(6, 3\) and looks one-hot.*argmax"),
    "y: ragged": (lambda: mlp().cost(X, [[0], [1, 2], 0, 1, 2, 0]), "y is no array: setting an array element"),
    "y: a column": (lambda: mlp().cost(X, Y[:, None]), r"y has shape \(6, 1\); it must be \(6,\)"),
    "y: too few": (lambda: mlp().cost_and_gradients(X, Y[:5]), r"y has shape \(5,\); it must be \(6,\)"),
    "y: floats": (lambda: mlp().cost(X, Y.astype(float)), r"y has dtype float64.*y.astype\(int\)"),
    "y: strings": (lambda: mlp().cost(X, Y.astype(str)), "y has dtype <U"),
    "y: truth values": (lambda: mlp().cost(X, Y > 0), "y has dtype bool"),
    "y: objects": (lambda: mlp().cost(X, Y.astype(object)), "y has dtype object"),
    "y: none": (lambda: mlp().cost(X, None), r"y has shape \(\)"),
    "y: negative": (lambda: mlp().cost(X, Y - 1), "y contains the label -1; 3 classes are numbered 0 to 2"),
    "y: numbered from 1": (lambda: mlp().cost(X, Y + 1), "y contains the label 3; 3 classes are numbered 0 to 2"),
    # the penalty
    "l2: negative": (lambda: mlp().cost(X, Y, -1), "l2 is -1; it must be a finite number of at least 0"),
    "l2: NaN": (lambda: mlp().cost_and_gradients(X, Y, np.nan), "l2 is nan"),
    "l2: infinite": (lambda: mlp().penalty(np.inf), "l2 is inf"),
    "l2: a string": (lambda: mlp().cost(X, Y, "0.1"), "l2 is '0.1'"),
    "l2: none": (lambda: mlp().cost(X, Y, None), "l2 is None"),
    "l2: an array": (lambda: mlp().cost(X, Y, np.ones(2)), "l2 is array"),
    # values of a network
    "parameters: another shape": (
        lambda: mlp().parameters.__setitem__("linear1.bias", np.ones(3)),
        r"linear1.bias is given shape \(3,\); its shape is \(4,\)",
    ),
    "parameters: one number for all": (lambda: mlp().parameters.__setitem__("bn1.weight", 1.0), r"given shape \(\)"),
    "parameters: strings": (lambda: mlp().parameters.__setitem__("bn1.bias", list("abcd")), "given dtype <U1"),
    "parameters: complex": (lambda: mlp().parameters.__setitem__("bn1.bias", np.ones(4) * 1j), "given dtype complex"),
    # schedules and minibatches
    "step: negative": (lambda: cyclical_learning_rate(-1), "step is -1"),
    "step: a fraction": (lambda: cyclical_learning_rate(1.5), "step is 1.5"),
    "step_size: 0": (lambda: cyclical_learning_rate(0, 0), "step_size is 0"),
    "eta_min: above eta_max": (lambda: cyclical_learning_rate(0, eta_min=0.2), "eta_min is 0.2, above eta_max, 0.1"),
    "eta_max: NaN": (lambda: cyclical_learning_rate(0, eta_max=np.nan), "eta_max is nan"),
    "annealing: 0": (
        lambda: cyclical_learning_rate(0, annealing=0),
        "annealing is 0.0; it must be above 0 and at most",
    ),
    "annealing: above 1": (lambda: cyclical_learning_rate(0, annealing=1.1), "annealing is 1.1"),
    "annealing: NaN": (lambda: cyclical_learning_rate(0, annealing=np.nan), "annealing is nan"),
    "step: beyond a decay": (lambda: linear_decay(6, 5, 0.1), "step is 6, beyond the 5 updates of this schedule"),
    "step: beyond a cosine": (lambda: cosine_decay(6, 5, 0.1), "step is 6, beyond the 5 updates"),
    "step: beyond the one cycle": (lambda: one_cycle(6, 5, 0.1), "step is 6, beyond the 5 updates"),
    "updates of a schedule: 0": (lambda: cosine_decay(0, 0, 0.1), "updates is 0; it must be an integer of at least 1"),
    "updates of a schedule: a fraction": (lambda: linear_decay(0, 2.5, 0.1), "updates is 2.5"),
    "eta_min of a decay: above": (lambda: linear_decay(0, 5, 0.1, 0.2), "eta_min is 0.2, above eta_max, 0.1"),
    "eta_min of a cosine: above": (lambda: cosine_decay(0, 5, 0.1, 0.2), "eta_min is 0.2, above eta_max, 0.1"),
    "eta_min of the one cycle: negative": (lambda: one_cycle(0, 5, 0.1, eta_min=-1), "eta_min is -1"),
    "eta_max of a cosine: infinite": (lambda: cosine_decay(0, 5, np.inf), "eta_max is inf"),
    "warmup: all": (lambda: one_cycle(0, 5, 0.1, warmup=1), "warmup is 1; it must be at least 0 and below 1"),
    "warmup: negative": (lambda: one_cycle(0, 5, 0.1, warmup=-0.1), "warmup is -0.1"),
    "warmup: NaN": (lambda: one_cycle(0, 5, 0.1, warmup=np.nan), "warmup is nan; it must be at least 0 and below 1"),
    "images: 0": (lambda: minibatches(0, 5, rng()), "images is 0"),
    "batch_size: 0": (lambda: minibatches(5, 0, rng()), "batch_size is 0"),
    "minibatches: a seed": (lambda: minibatches(5, 1, 0), "rng is 0"),
    # training and evaluation
    "net: none": (lambda: evaluate(None, (X, Y)), "net is a NoneType; it must be a manual_mlp.MLP"),
    "data: images alone": (lambda: evaluate(mlp(), X), "data is a ndarray; it must be a pair"),
    "data: labels missing": (lambda: trained(data=(X,)), "data is a tuple; it must be a pair"),
    "data: other images to validate on": (lambda: trained(validation=(X[:, :3], Y)), r"x has shape \(6, 3\)"),
    "chunk: 0": (lambda: evaluate(mlp(), (X, Y), 0), "chunk is 0"),
    "learning_rate: a number": (lambda: trained(learning_rate=0.1), "learning_rate is 0.1; it must be a function"),
    "learning_rate: negative": (lambda: trained(learning_rate=lambda _: -1.0), r"learning_rate\(0\) is -1.0"),
    "learning_rate: nothing": (lambda: trained(learning_rate=lambda _: None), r"learning_rate\(0\) is None"),
    "updates: negative": (lambda: trained(updates=-1), "updates is -1"),
    "record_every: 0": (lambda: trained(record_every=0), "record_every is 0"),
    "batch_size: leaves one": (
        lambda: trained(batch_size=5),
        "batch_size is 5: of 6 images that leaves a batch of one",
    ),
    "train: a seed": (lambda: trained(rng=3), "rng is 3"),
    "eta: a string": (lambda: sgd_update(mlp().parameters, mlp().parameters, "0.1"), "eta is '0.1'"),
    "parameters: a dictionary": (
        lambda: sgd_update(dict(mlp().parameters), mlp().parameters, 0.1),
        "^parameters is a dict; it must be a NamedArrays: net.parameters, and gradients as",
    ),
    "gradients: a dictionary": (
        lambda: sgd_update(mlp().parameters, dict(mlp().parameters), 0.1),
        "^gradients is a dict; it must be a NamedArrays",
    ),
    "gradients: of another network": (
        lambda: sgd_update(mlp([5, 3, 2]).parameters, mlp([5, 4, 2]).parameters, 0.1),
        r"^gradients are not those of these parameters: they are NamedArrays\(linear1.weight \(4, 5\)",
    ),
    "gradients: as many, in other shapes": (
        lambda: sgd_update(mlp([2, 1, 2]).parameters, mlp([4, 1, 1]).parameters, 0.1),
        "take them from the same network$",
    ),
    "gradients: a dictionary for AdamW": (
        lambda: updated(AdamW, dict),
        "^gradients is a dict; it must be a NamedArrays",
    ),
    "gradients: of another network, for momentum": (
        lambda: updated(Momentum, lambda _: mlp([5, 2]).parameters),
        "^gradients are not those of these parameters",
    ),
    "eta: negative": (lambda: sgd_update(mlp().parameters, mlp().parameters, -0.1), "eta is -0.1"),
    # augmentation
    "flip: a percentage": (lambda: augmented(flip=50), "flip is 50; it must be a probability, from 0 to 1"),
    "flip: negative": (lambda: augmented(flip=-0.1), "flip is -0.1"),
    "flip: NaN": (lambda: augmented(flip=np.nan), "flip is nan"),
    "flip: a truth value": (lambda: augmented(flip=True), "flip is True"),
    "shift: negative": (lambda: augmented(shift=-1), "shift is -1; it must be an integer of at least 0"),
    "shift: a fraction": (lambda: augmented(shift=1.5), "shift is 1.5"),
    "shift: as large as the image": (
        lambda: FlipsAndShifts((8, 6, 3), shift=6),
        r"shift is 6: shifts beyond the image, whose shape \(H, W, C\) is \(8, 6, 3\); it must be at most 5",
    ),
    "shape: channels in front": (lambda: FlipsAndShifts((3, 32, 32)), r"shift is 3: .* \(H, W, C\) is \(3, 32, 32\)"),
    "shape: flattened": (lambda: augmented(shape=(5,)), r"shape is \(5,\); it must be \(H, W, C\)"),
    "shape: one number": (lambda: augmented(shape=5), "shape is 5; it must be"),
    "shape: no rows": (lambda: augmented(shape=(0, 5, 1)), r"shape\[0\] is 0; it must be an integer of at least 1"),
    "batch: other images": (lambda: augmented(shape=(5, 5, 1)), r"batch has shape \(6, 5\); it must be \(N, 25\)"),
    "batch: not flattened": (lambda: augmented(X.reshape(6, 1, 5, 1)), r"batch has shape \(6, 1, 5, 1\)"),
    "batch: pixels": (
        lambda: augmented(X.astype(np.uint8)),
        "batch is a ndarray of uint8; it must be a writeable",
    ),
    "batch: half": (lambda: augmented(X.astype(np.float16)), "batch is a ndarray of float16"),
    "batch: lists": (lambda: augmented(X.tolist()), "batch is a list; it must be a writeable array of float32"),
    "batch: read-only": (lambda: augmented(read_only(X)), "batch is a ndarray of float64, read-only"),
    "batch: masked": (lambda: augmented(np.ma.masked_array(X, X > 1)), "batch is a MaskedArray of float64"),
    "batch: big-endian": (lambda: augmented(big_endian(X)), "batch is a ndarray of >f8"),
    "augment: a seed": (lambda: augmented(stream=0), "rng is 0"),
    # optimizers
    "optimizer: a network": (lambda: Adam(mlp()), "parameters is a MLP; it must be a network's: net.parameters"),
    "optimizer: a dictionary": (lambda: Momentum(dict(mlp().parameters)), "parameters is a dict"),
    "optimizer: of another network": (
        lambda: AdamW(mlp().parameters)(mlp().parameters, mlp().parameters, 0.1),
        "parameters are not those that this AdamW was made for.*make another for each network",
    ),
    "momentum: 1": (lambda: optimizer(Momentum, momentum=1), "momentum is 1; it must be at least 0 and below 1"),
    "momentum: negative": (lambda: optimizer(Momentum, momentum=-0.1), "momentum is -0.1; it must be at least 0"),
    "momentum: a string": (lambda: optimizer(Momentum, momentum="0.9"), "momentum is '0.9'"),
    "nesterov: a number": (lambda: optimizer(Momentum, nesterov=1), "nesterov is 1; it must be True or False"),
    "beta1: 1": (lambda: optimizer(Adam, beta1=1.0), "beta1 is 1.0; it must be at least 0 and below 1"),
    "beta1: NaN": (lambda: optimizer(Adam, beta1=np.nan), "beta1 is nan"),
    "beta2: above 1": (lambda: optimizer(AdamW, beta2=1.5), "beta2 is 1.5; it must be at least 0 and below 1"),
    "beta2: none": (lambda: optimizer(Adam, beta2=None), "beta2 is None"),
    "betas: a pair": (lambda: optimizer(Adam, beta1=(0.9, 0.999)), r"beta1 is \(0.9, 0.999\)"),
    "eps: 0": (lambda: optimizer(Adam, eps=0), "eps is 0; it must be above 0 in float64: a gradient of 0 is divided"),
    "eps: negative": (lambda: optimizer(AdamW, eps=-1e-8), "eps is -1e-08"),
    "eps: 0 in float32": (lambda: optimizer(Adam, "float32", eps=1e-50), "eps is 1e-50; it must be above 0 in float32"),
    "weight_decay: negative": (lambda: optimizer(AdamW, weight_decay=-0.1), "weight_decay is -0.1"),
    "weight_decay: infinite": (lambda: optimizer(AdamW, weight_decay=np.inf), "weight_decay is inf"),
    # checking
    "differences in float32": (lambda: numerical_gradients(mlp(dtype=np.float32), X, Y), "net has dtype float32"),
    "differences of nothing": (lambda: numerical_gradients("net", X, Y), "net is a str"),
    "h: 0": (lambda: numerical_gradients(mlp(), X, Y, h=0), "h is 0; the step of a difference must be positive"),
    "h: negative": (lambda: numerical_gradients(mlp(), X, Y, h=-1e-5), "h is -1e-05"),
    "directions: 0": (lambda: directional(directions=0), "directions is 0"),
    "directions: a seed": (lambda: directional(rng=0), "rng is 0"),
    "directions: no gradients": (lambda: directional(gradients={}), "gradients has {}; it must have the names and"),
    "gradients: a list": (lambda: compare_gradients([1.0], {"a": 1.0}), "gradients is a list; it must be a dictionary"),
    "gradients: none at all": (lambda: compare_gradients({}, {}), "gradients and reference are empty"),
    "gradients: other names": (lambda: compare_gradients({"a": X}, {"b": X}), "missing: .'b'., unknown: .'a'."),
    "gradients: another shape": (lambda: compare_gradients({"a": X}, {"a": X[:1]}), r"gradients\['a'\] has shape"),
    "gradients: text": (lambda: compare_gradients({"a": "x"}, {"a": X}), r"gradients\['a'\] is <U1"),
    "tolerance: negative": (lambda: compare_gradients({"a": X}, {"a": X}, tolerance=-1), "tolerance is -1"),
    # the twin
    "mirror: no network": (lambda: mirror(None), "net is a NoneType"),
    "mirror_back: another network": (lambda: mirror_back(mirror(mlp([5, 3])), mlp()), "twin has .* net needs"),
    "autograd: too narrow": (lambda: autograd_gradients(mlp(), X[:, :2], Y), r"x has shape \(6, 2\)"),
    "autograd: negative l2": (lambda: autograd_gradients(mlp(), X, Y, -1), "l2 is -1"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_name_that_the_network_lacks_is_refused_with_those_that_it_has():
    with pytest.raises(KeyError, match=r"'w' is not one of linear1.weight, linear1.bias, bn1.weight"):
        mlp().parameters["w"] = np.ones(3)
    with pytest.raises(TypeError, match=r"'bn1.bias' cannot be removed"):
        del mlp().parameters["bn1.bias"]


def big_endian(array):
    return array.astype(array.dtype.newbyteorder(">"))


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "form",
    [big_endian, read_only, np.asfortranarray, lambda array: np.repeat(array, 2, axis=0)[::2], np.ndarray.tolist],
    ids=["big-endian", "read-only", "Fortran order", "strided", "lists"],
)
def test_unusual_arrays_of_the_right_numbers_give_the_same_gradients(form):
    ours, expected = mlp().cost_and_gradients(form(X), form(Y), 0.1), mlp().cost_and_gradients(X, Y, 0.1)
    assert ours[0] == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose(ours[1].flat, expected[1].flat, rtol=1e-12, atol=1e-15)
