"""Minibatches, the loop, its history, and how it ends."""

import itertools

import numpy as np
import pytest

from manual_mlp import MLP, Adam, FlipsAndShifts, evaluate, minibatches, optimizers, sgd_update, train


def problem(images=60, seed=0):
    """Two classes, told apart by the sign of one feature."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(images, 5))
    return x, (x[:, 0] > 0).astype(np.int64)


def network(seed=0, **settings):
    return MLP([5, 8, 2], rng=np.random.default_rng(seed), dtype=np.float64, **settings)


def trained(net, updates=40, seed=0, eta=0.1, **settings):
    return train(
        net,
        settings.pop("data", problem()),
        problem(seed=1),
        updates=updates,
        **{
            "learning_rate": lambda _: eta,
            "rng": np.random.default_rng(seed),
            "batch_size": 10,
            "l2": 0.01,
            "record_every": 15,
            **settings,
        },
    )


@pytest.mark.parametrize(("images", "batch_size"), [(60, 10), (7, 3), (8, 8), (9, 10)])
def test_every_epoch_has_every_image_once_in_a_new_order(images, batch_size):
    batches = minibatches(images, batch_size, np.random.default_rng(0))
    per_epoch = -(-images // batch_size)
    epochs = [np.concatenate(list(itertools.islice(batches, per_epoch))) for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(images))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_an_update_moves_against_the_gradient():
    net = network(batch_norm=True)
    x, y = problem()
    before = net.parameters.flat.copy()
    _, gradients = net.cost_and_gradients(x, y, 0.1)
    expected = {name: before_view - 0.3 * gradients[name] for name, before_view in net.parameters.items()}
    sgd_update(net.parameters, gradients, 0.3)
    for name, values in net.parameters.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-15)
    assert not np.array_equal(net.parameters.flat, before)


def test_an_update_with_l2_is_one_along_the_whole_costs_gradient(monkeypatch):
    """Also where weights end within a block and where a block is full."""
    monkeypatch.setattr(optimizers, "UPDATE_BLOCK", 16)
    by_hand, net = network(batch_norm=True), network(batch_norm=True)
    x, y = problem()
    _, gradients = by_hand.cost_and_gradients(x, y, 0.1)
    expected = by_hand.parameters.flat - 0.3 * gradients.flat
    _, gradients = net.cost_and_gradients(x, y)
    sgd_update(net.parameters, gradients, 0.3, 0.1)
    np.testing.assert_allclose(net.parameters.flat, expected, rtol=1e-14, atol=1e-16)


def test_training_learns():
    net = network(batch_norm=True)
    history = trained(net, updates=200)
    assert history[-1].validation_accuracy > 0.9 > history[0].validation_accuracy
    assert history[-1].train_cost < history[0].train_cost


def test_training_equals_the_same_loop_written_out():
    """A schedule that changes at every update, a last batch that is smaller, batch norm and a penalty."""
    data, validation = problem(images=27), problem(images=9, seed=1)
    rates = [0.01 * (step + 1) for step in range(8)]
    heard = []
    net, by_hand = network(batch_norm=True), network(batch_norm=True)
    for one in (net, by_hand):  # in front of batch norm a bias never moves: one that starts at 0 stays rounding
        one.parameters["linear1.bias"] = np.linspace(0.5, -0.3, 8)
    history = train(
        net,
        data,
        validation,
        learning_rate=rates.__getitem__,  # has no rate beyond the last update
        updates=8,
        batch_size=5,
        l2=0.005,
        record_every=3,
        rng=np.random.default_rng(4),
        on_update=lambda *update: heard.append(update),
    )
    batches = minibatches(27, 5, np.random.default_rng(4))
    expected, told, sizes = [], [], []
    for step in range(9):
        if step in (0, 3, 6, 8):
            values = [step, rates[min(step, 7)]]
            for x, y in (data, validation):
                accuracy = np.mean(by_hand.forward(x).argmax(axis=1) == y)
                values += [by_hand.cost(x, y), by_hand.cost(x, y, 0.005), accuracy]
            expected.append(values)
        if step < 8:
            rows = next(batches)
            x, y = data[0][rows], data[1][rows]
            cost, gradients = by_hand.cost_and_gradients(x, y, 0.005)
            told.append((step, rates[step], cost))
            sizes.append(len(rows))
            before = (by_hand.parameters.weights**2).sum()
            told[-1] = (step, rates[step], cost - 0.005 * before)
            for name in by_hand.parameters:
                by_hand.parameters[name] -= rates[step] * gradients[name]
    assert sizes == [5, 5, 5, 5, 5, 2, 5, 5]
    np.testing.assert_allclose(net.parameters.flat, by_hand.parameters.flat, rtol=1e-12)
    np.testing.assert_allclose(net.buffers.flat, by_hand.buffers.flat, rtol=1e-12)
    np.testing.assert_allclose([list(vars(record).values()) for record in history], expected, rtol=1e-12)
    np.testing.assert_allclose(heard, told, rtol=1e-12)


def test_a_small_penalty_is_not_lost_in_float32():
    """eta l2 is 1e-8, which 1 - 2 eta l2 does not show in float32; after 5,000 updates it makes 1e-4 of a weight."""
    rng = np.random.default_rng(0)
    start = rng.uniform(1, 3, 2000).astype(np.float32)
    nets = [MLP([40, 50], rng=rng, dtype=dtype) for dtype in ("float32", "float64")]
    for net in nets:
        net.parameters.weights[:] = start
    gradients = [net.parameters.zeros_like() for net in nets]
    for _ in range(5000):
        drawn = rng.normal(0, 0.1, len(gradients[0].flat)).astype(np.float32)
        for net, gradient in zip(nets, gradients, strict=True):
            gradient.flat[:] = drawn
            sgd_update(net.parameters, gradient, 1e-2, 1e-6)
    ours, exact = (net.parameters.weights.astype(np.float64) for net in nets)
    assert abs(np.mean(ours - exact)) < 2e-5 * np.mean(exact)


def test_history_has_the_first_every_nth_and_the_last_step():
    history = trained(network(), updates=40)
    assert [record.step for record in history] == [0, 15, 30, 40]


def test_records_are_those_of_the_network_at_that_step():
    """In test mode, over all images; cost is loss plus penalty."""
    net = network(batch_norm=True)
    last = trained(net)[-1]
    x, y = problem()
    assert last.train_loss == pytest.approx(net.cost(x, y), rel=1e-12)
    assert last.train_cost == pytest.approx(net.cost(x, y, 0.01), rel=1e-12)
    assert last.train_accuracy == np.mean(net.forward(x).argmax(axis=1) == y)
    x, y = problem(seed=1)
    assert last.validation_cost == pytest.approx(net.cost(x, y, 0.01), rel=1e-12)
    assert last.eta == 0.1


def test_evaluation_does_not_depend_on_the_chunk():
    net, data = network(batch_norm=True), problem()
    for chunk in (1, 7, 60, 100):
        assert evaluate(net, data, chunk) == pytest.approx(evaluate(net, data), rel=1e-12)


def test_one_image_can_be_evaluated():
    x, y = problem()
    net = network(batch_norm=True)
    loss, accuracy = evaluate(net, (x[:1], y[:1]))
    assert (loss, accuracy) == (pytest.approx(net.cost(x[:1], y[:1])), float(net.forward(x[:1]).argmax() == y[0]))


def test_data_are_taken_in_the_networks_dtype():
    net = MLP([5, 8, 2], rng=np.random.default_rng(0))
    x, y = problem()
    assert evaluate(net, (x, y)) == evaluate(net, (x.astype(np.float32), y))
    assert trained(net, updates=1, record_every=1)[0].train_loss == pytest.approx(net_loss_in_float32(x, y), rel=1e-9)


def net_loss_in_float32(x, y):
    net = MLP([5, 8, 2], rng=np.random.default_rng(0))
    return net.cost(x.astype(np.float32), y)


def test_same_generator_same_bits():
    first, again, other = network(), network(), network()
    histories = trained(first), trained(again), trained(other, seed=1)
    np.testing.assert_array_equal(first.parameters.flat, again.parameters.flat)
    assert histories[0] == histories[1]
    assert not np.array_equal(first.parameters.flat, other.parameters.flat)


def shake(batch, rng):
    """An augmentation that overwrites its batch."""
    batch += rng.normal(0, 0.1, batch.shape)
    return batch


def test_dropout_and_augmentation_equal_the_same_loop_written_out():
    x, y = problem()
    net, by_hand = network(dropout=0.4), network(dropout=0.4)
    trained(net, updates=14, augment=shake, noise_seed=9)  # with a second epoch
    batches = minibatches(60, 10, np.random.default_rng(0))
    for step in range(14):
        rows = next(batches)
        batch = shake(x[rows], np.random.default_rng([9, step, 1]))
        masks = by_hand.dropout_masks(10, np.random.default_rng([9, step, 2]))
        _, gradients = by_hand.cost_and_gradients(batch, y[rows], 0.01, masks)
        for name in by_hand.parameters:
            by_hand.parameters[name] -= 0.1 * gradients[name]
    np.testing.assert_allclose(net.parameters.flat, by_hand.parameters.flat, rtol=1e-12)
    np.testing.assert_array_equal(x, problem()[0])  # the images themselves stay


def test_noise_repeats_with_its_seed_alone():
    nets = [network(dropout=0.4) for _ in range(3)]
    for net, noise_seed in zip(nets, (9, 9, 8), strict=True):
        trained(net, updates=14, augment=shake, noise_seed=noise_seed)
    np.testing.assert_array_equal(nets[0].parameters.flat, nets[1].parameters.flat)
    assert not np.array_equal(nets[0].parameters.flat, nets[2].parameters.flat)


def test_noise_goes_on_to_the_same_bits():
    """Stopped within the second epoch."""
    whole, stopped = network(dropout=0.4), network(dropout=0.4)
    settings = {"augment": shake, "noise_seed": 9, "updates": 14}
    trained(whole, **settings)
    with pytest.raises(InterruptedError) as stop:
        trained(stopped, **settings, on_state=stop_at(8))
    trained(stopped, **settings, resume=stop.value.args[0])
    np.testing.assert_array_equal(stopped.parameters.flat, whole.parameters.flat)


def stop_at(step):
    def on_state(state):
        if state.step == step:
            raise InterruptedError(state)

    return on_state


def test_callers_hear_of_every_update_and_record():
    updates, records = [], []
    history = trained(network(), on_update=lambda *update: updates.append(update), on_record=records.append)
    assert [step for step, _, _ in updates] == list(range(40))
    assert records == history


def test_no_updates_leave_one_record():
    net = network()
    before = net.parameters.flat.copy()
    assert [(record.step, record.eta) for record in trained(net, updates=0)] == [(0, 0.0)]
    np.testing.assert_array_equal(net.parameters.flat, before)


def test_divergence_ends_the_training():
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at update \d+"):
        trained(network(), updates=500, eta=1e6)


def test_divergence_in_the_last_update_ends_it_too():
    with pytest.raises(FloatingPointError, match="the cost is not finite after 1 updates: lower the learning rate"):
        trained(network(), updates=1, eta=1e300)


@pytest.mark.parametrize(("initializer", "l2"), [(1e300, 0.0), ("he", 1e308)], ids=["first weights", "l2"])
def test_a_cost_that_is_not_finite_from_the_start_is_not_blamed_on_the_learning_rate(initializer, l2):
    with pytest.raises(FloatingPointError, match=r"after 0 updates: the first weights, the images or l2 are too large"):
        trained(network(initializer=initializer), l2=l2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minibatches(0, 2, np.random.default_rng(0)), "images is 0; it must be an integer of at least 1"),
        (lambda: minibatches(5, -1, np.random.default_rng(0)), "batch_size is -1; it must be an integer of at least 1"),
        (lambda: minibatches(5, 2, 0), "rng is 0; it must be a numpy.random.Generator"),
        (lambda: evaluate(network(), problem(), chunk=0), "chunk is 0; it must be an integer of at least 1"),
        (lambda: evaluate(network(), (problem()[0], np.eye(2)[problem()[1]])), "looks one-hot"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be an integer of at least 1"),
        ({"batch_size": 2.0}, "batch_size is 2.0; it must be an integer"),
        ({"batch_size": 1}, "batch_size is 1: of 60 images that leaves a batch of one"),
        (
            {"batch_size": 59},
            "leaves a batch of one, on which batch normalization cannot train; choose another batch_size$",
        ),
        ({"updates": -1}, "updates is -1"),
        ({"record_every": 0}, "record_every is 0; it must be an integer of at least 1"),
        ({"rng": 7}, "^rng is 7; it must be a numpy.random.Generator"),
        ({"learning_rate": 0.1}, "^learning_rate is 0.1; it must be a function of the update number$"),
        ({"data": (problem()[0], problem()[1], 3)}, r"data is a tuple; it must be a pair: images \(N, 5\) and labels"),
        ({"l2": -0.1}, "l2 is -0.1"),
        ({"optimizer": "adam"}, "optimizer is 'adam'; it must be one such as sgd_update"),
        ({"augment": True}, "augment is True; it must be a function of a batch and a generator"),
        (
            {"augment": shake},
            "^noise_seed is None; it must be an integer of at least 0, from which the random numbers of augment",
        ),
        ({"augment": shake, "noise_seed": -1}, "^noise_seed is -1; it must be an integer of at least 0$"),
        (
            {"augment": FlipsAndShifts},
            r"^augment is the class FlipsAndShifts; it must be an instance of it, as in Flips",
        ),
        (
            {"augment": lambda *_: None, "noise_seed": 0},
            r"^augment returned None; it must return the batch that it is given, \(10, 5\), changed or not$",
        ),
        (
            {"augment": lambda batch, _: batch[:, :4], "noise_seed": 0},
            r"^augment returned an array of shape \(10, 4\); it must return the batch",
        ),
        (
            {"optimizer": Adam},
            r"^optimizer is the class Adam; it must be one made for this network: Adam\(net.parameters\)$",
        ),
        ({"eta": -0.1}, r"learning_rate\(0\) is -0.1; it must be a finite number of at least 0"),
        ({"data": problem()[0]}, "data is a ndarray; it must be a pair"),
        ({"data": (problem()[0], problem()[1] + 1)}, "y contains the label 2"),
        ({"data": (problem()[0] * np.nan, problem()[1])}, r"x\[0, 0\] is nan"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        trained(network(batch_norm=True), **settings)


def test_dropout_without_a_seed_is_named_beside_augment():
    with pytest.raises(ValueError, match=r"the random numbers of augment and dropout are drawn$"):
        trained(network(dropout=0.5), augment=shake)
    with pytest.raises(ValueError, match=r"the random numbers of dropout are drawn$"):
        trained(network(dropout=0.5))
