"""The checks are checked: mistakes seen in the wild are planted into our code, and a test of the suite must fail.

A mistake is a piece of a function's source and what it is replaced with. For as long as its test runs, the function
has the code of the changed source, wherever it was imported to.
"""

import inspect
import textwrap

import image_data
import lr_range_test
import numpy as np
import pytest
import test_augmentation
import test_batch_statistics
import test_blocks
import test_finite_differences
import test_gradient_check
import test_gradients
import test_image_data
import test_layers
import test_lr_range_test
import test_network
import test_optimizers
import test_schedules
import test_ten_updates
import test_training
import test_trajectories

from manual_mlp import (
    FlipsAndShifts,
    batch_statistics,
    blocks,
    finite_differences,
    gradient_check,
    layers,
    named_arrays,
    network,
    optimizers,
    schedules,
    training,
)
from manual_mlp.initializers import he
from torch_reference.training import parameter_groups


def rng():
    return np.random.default_rng(7)


# The suite's own tests, by a short name, with arguments that they are parametrized with.
CHECKS = {
    "linear": lambda _: test_layers.test_linear(rng()),
    "relu": lambda _: test_layers.test_relu(rng()),
    "batch norm": lambda _: test_layers.test_batch_norm_in_training(rng(), 3, 1.0),
    "batch norm, small": lambda _: test_layers.test_batch_norm_in_training(rng(), 100, 1e-3),
    "batch norm, test": lambda _: test_layers.test_batch_norm_at_test_time(rng()),
    "softmax": lambda _: test_layers.test_softmax_cross_entropy(rng(), 0.1),
    "overflow": lambda _: test_layers.test_softmax_cross_entropy_does_not_overflow(np.float64),
    "dropout": lambda _: test_layers.test_dropout_under_torchs_own_mask(rng()),
    "dropout's mask": lambda _: test_layers.test_a_dropout_mask_is_1_on_average(rng(), 0.2),
    "masks of a network": lambda _: (
        test_blocks.test_the_masks_are_drawn_at_the_networks_rate_one_for_each_hidden_layer()
    ),
    "all extras": lambda _: test_blocks.test_gradients_equal_autograd(test_blocks.EXTRAS["all"]),
    "all extras, ReLU last": lambda _: test_blocks.test_gradients_equal_autograd(test_blocks.EXTRAS["all, ReLU last"]),
    "noise": lambda _: test_training.test_dropout_and_augmentation_equal_the_same_loop_written_out(),
    "precise": lambda _: test_batch_statistics.test_precise_statistics_are_those_of_all_that_batch_norm_sees(15, True),
    "last image": lambda _: test_batch_statistics.test_a_last_image_alone_joins_the_batch_before(),
    "adaptive": lambda _: test_batch_statistics.test_adaptive_statistics_are_torchs_with_momentum_1(),
    "penalty": lambda _: test_layers.test_l2_penalty(rng()),
    "gradients": lambda make: test_gradients.test_gradients_equal_autograd(make, 3, True, 0.7, 6),
    "differences": lambda make: test_gradients.test_gradients_equal_centered_differences(make, 3, True, 0.7, 6),
    "ten steps": lambda make: test_gradients.test_ten_sgd_steps_equal_torch(make, 3, True, 0.05, False),
    **{
        name: lambda make, name=name: test_optimizers.test_ten_steps_equal_torch(make, name, 3, True, 0.05)
        for name in test_optimizers.PAIRS
    },
    "small decay": lambda _: test_optimizers.test_a_small_decay_is_not_lost_in_float32(),
    "outputs, training": lambda make: test_network.test_outputs_and_buffers_equal_torch(make, 4, True, True),
    "outputs, test": lambda make: test_network.test_outputs_and_buffers_equal_torch(make, 4, True, False),
    "advances once": test_network.test_a_gradient_advances_the_running_statistics_once,
    "cost changes nothing": test_network.test_a_cost_changes_nothing,
    "cost": test_network.test_cost_is_loss_plus_l2_times_squared_weights_alone,
    "no shared memory": lambda _: test_network.test_parameters_are_live_and_share_no_memory(),
    "own gradients": test_network.test_gradients_of_two_batches_are_two_sets_of_arrays,
    "first weights": lambda _: test_network.test_weights_start_normal_with_the_initializers_std("he", np.sqrt(2 / 400)),
    "loop": lambda _: test_training.test_training_equals_the_same_loop_written_out(),
    "epochs": lambda _: test_training.test_every_epoch_has_every_image_once_in_a_new_order(60, 10),
    "schedule": lambda _: test_schedules.test_corners_of_the_triangle(5),
    "annealing": lambda _: test_schedules.test_cycles_equal_torch(7, 0.7),
    "linear decay": lambda _: test_schedules.test_linear_decay_equals_torch(7, 0.02),
    "cosine": lambda _: test_schedules.test_cosine_decay_equals_torch(7, 0.02),
    "one cycle": lambda _: test_schedules.test_one_cycle_equals_torch(10, 0.3),
    "range test": lambda _: test_lr_range_test.test_the_rule(*test_lr_range_test.CURVES["rises, then falls"]),
    "range test, ragged": lambda _: test_lr_range_test.test_the_rule(
        *test_lr_range_test.CURVES["rises, falls a little, then more"]
    ),
    "range test's rates": lambda _: test_ten_updates.test_at_the_rates_of_torchs_scheduler("range test, exponential"),
    "batch statistics": test_gradient_check.test_numerical_gradients_use_batch_statistics,
    "network restored": test_gradient_check.test_numerical_gradients_leave_the_network_as_it_was,
    "not finite": lambda _: test_gradient_check.test_what_is_not_finite_never_agrees(np.nan, "gradients"),
    "zero": lambda _: test_gradient_check.test_zero_needs_both_sides_below_the_floor(),
    "kink": lambda _: test_finite_differences.test_an_entry_at_a_kink_is_set_aside(
        test_finite_differences.network_at_a_kink()
    ),
    "twin": lambda _: test_trajectories.test_five_hundred_updates_stay_within_1e_11((20, 20), True),
    "standardization": lambda _: test_image_data.test_every_part_is_standardized_with_the_training_images_statistics(
        test_image_data.tiny_images()
    ),
    "versions": lambda _: test_augmentation.test_equals_torch_for_the_same_draws(2, 0.5, np.float64),
    "versions, counted": lambda _: test_augmentation.test_every_version_is_drawn_as_often_as_it_shall_be(1, 0.25),
    "own stream": lambda _: test_augmentation.test_the_stream_is_the_callers(),
    "kept array": lambda _: test_augmentation.test_what_was_kept_of_earlier_batches_is_not_seen(),
    "batch itself": lambda _: test_augmentation.test_a_part_of_an_array_is_written_to_and_nothing_beside_it(
        test_augmentation.FORMS["other columns"], "C"
    ),
}


DECAY_AS_A_FACTOR = "self.parameters.weights[block] *= (1 - eta * self.weight_decay)\n        if False and self.w"

MISTAKES = [
    # (what is wrong, function, its source, what stands there instead, the test that must fail)
    ("bias not added", layers.linear_forward, "out += b", "pass", "linear"),
    (
        "bias gradient averaged",
        layers.linear_backward_parameters,
        "sum_over_batch(dout",
        "1 / len(dout) * sum_over_batch(dout",
        "linear",
    ),
    (
        "bias gradient over the wrong axis",
        layers.linear_backward_parameters,
        "sum_over_batch(dout, out=db)",
        "dout.sum(axis=1)",
        "linear",
    ),
    (
        "weight gradient divided by N",
        layers.linear_backward_parameters,
        "dout.T, cache",
        "dout.T / len(dout), cache",
        "linear",
    ),
    (
        "weights not transposed back",
        layers.linear_backward,
        "np.matmul(dout, cache.W,",
        "np.matmul(dout @ dout.T, cache.x,",
        "linear",
    ),
    ("ReLU's mask from the gradient", layers.relu_backward, "cache.out > 0", "dout > 0", "relu"),
    ("ReLU open at 0", layers.relu_backward, "cache.out > 0", "cache.out >= 0", "relu"),
    ("ReLU's gradient not masked", layers.relu_backward, "dout, cache.out > 0", "dout, 1", "gradients"),
    (
        "eps outside of the root",
        layers.batch_norm_forward,
        "np.sqrt(var + float(eps))",
        "(np.sqrt(var) + eps)",
        "batch norm, small",
    ),
    (
        "variance divided by N - 1",
        layers.batch_norm_forward,
        "sum_over_batch(out) / n",
        "sum_over_batch(out) / (n - 1)",
        "batch norm",
    ),
    (
        "one variance for all features",
        layers.batch_norm_forward,
        "sum_over_batch(out) / n",
        "np.mean(out) + 0 * mean",
        "batch norm",
    ),
    ("beta forgotten", layers.batch_norm_forward, "out += beta", "pass", "batch norm"),
    ("the mean treated as a constant", layers.batch_norm_backward, "dout, dbeta / n", "dout, 0", "batch norm"),
    (
        "the mean's term with the wrong sign",
        layers.batch_norm_backward,
        "dout, dbeta / n",
        "dout, -dbeta / n",
        "differences",
    ),
    ("the variance's term dropped", layers.batch_norm_backward, "dx -= x_hat * (dgamma / n)", "pass", "batch norm"),
    ("the variance's term without 1/N", layers.batch_norm_backward, "dgamma / n", "dgamma", "gradients"),
    ("gamma missing in dx", layers.batch_norm_backward, "gamma * inv_std", "inv_std", "batch norm"),
    (
        "gamma and beta's gradients swapped",
        layers.batch_norm_backward,
        "return dx, dgamma, dbeta",
        "return dx, dbeta, dgamma",
        "batch norm",
    ),
    ("gamma's gradient from out", layers.batch_norm_backward, "dout * x_hat", "dout * (x_hat * gamma)", "gradients"),
    ("running variance biased", layers.batch_norm_advance, "(n / (n - 1))", "1.0", "batch norm"),
    (
        "running variance corrected upside down",
        layers.batch_norm_advance,
        "(n / (n - 1))",
        "((n - 1) / n)",
        "outputs, training",
    ),
    ("momentum 0.9 for 0.1", layers.batch_norm_advance, "= BATCH_NORM_MOMENTUM", "= 0.9", "batch norm"),
    (
        "running mean not advanced",
        layers.batch_norm_advance,
        "running_mean += momentum",
        "running_mean += 0.0",
        "advances once",
    ),
    ("gamma forgotten at test time", layers.batch_norm_inference, "gamma / np", "1.0 / np", "batch norm, test"),
    (
        "running variance used as a standard deviation",
        layers.batch_norm_inference,
        "np.sqrt(running_var + float(eps))",
        "(running_var + eps)",
        "outputs, test",
    ),
    (
        "softmax shifted by the maximum of the batch",
        layers.softmax_cross_entropy_forward,
        "logits.max(axis=1, keepdims=True)",
        "logits.max()",
        "overflow",
    ),
    (
        "softmax not shifted",
        layers.softmax_cross_entropy_forward,
        "logits - logits.max(axis=1, keepdims=True)",
        "logits.copy()",
        "overflow",
    ),
    ("log10", layers.softmax_cross_entropy_forward, "np.log(total", "np.log10(total", "softmax"),
    ("cross-entropy summed", layers.softmax_cross_entropy_backward, "dout / n", "dout", "softmax"),
    ("upstream gradient ignored", layers.softmax_cross_entropy_backward, "dout / n", "1 / n", "softmax"),
    ("a fixed batch size as divisor", layers.softmax_cross_entropy_backward, "dout / n", "dout / 100", "gradients"),
    ("smoothing in the loss alone", layers.softmax_cross_entropy_backward, "-= 1 - label_smoothing", "-= 1", "softmax"),
    ("smoothing not in the loss", layers.softmax_cross_entropy_forward, "if label_smoothing:", "if False:", "softmax"),
    (
        "smoothing over the other classes alone",
        layers.softmax_cross_entropy_forward,
        "shifted.mean(axis=1)",
        "(shifted.sum(axis=1) - target) / (shifted.shape[1] - 1)",
        "softmax",
    ),
    ("dropout by the probability to keep", layers.dropout_mask, ">= round", "< round", "dropout's mask"),
    ("dropout not scaled", layers.dropout_mask, "kept, 1 / (1 - rate)", "kept, 1.0", "dropout's mask"),
    ("dropout at a rate of its own", network.MLP.dropout_masks, "self.dropout, rng", "0.5, rng", "masks of a network"),
    (
        "dropout scaled by the wrong share",
        layers.dropout_mask,
        "kept, 1 / (1 - rate)",
        "kept, 1 / max(rate, 1e-9)",
        "dropout's mask",
    ),
    (
        "one draw for all images",
        layers.dropout_mask,
        "bits[: n * width].reshape(n, width)",
        "np.tile(bits[:width], (n, 1))",
        "dropout's mask",
    ),
    ("dropout's gradient not masked", layers.dropout_backward, "dout, cache.mask", "dout, 1", "dropout"),
    (
        "dropout never fed onward",
        blocks.Block.forward,
        "out, dropout = dropout_forward(out, mask, out=out)",
        "_, dropout = dropout_forward(out, mask)",
        "all extras",
    ),
    ("dropout forgotten on the way back", blocks.Block.backward, "cache.dropout is not None", "False", "all extras"),
    ("the skip's gradient forgotten", blocks.Block.backward, "dx += past", "pass", "all extras"),
    (
        "the skip's gradient masked too",
        blocks.Block.backward,
        "dout.copy() if",
        "dout if",
        "all extras, ReLU last",
    ),
    ("a skip that is not added", blocks.Block.forward, "if self.skip:", "if False:", "all extras"),
    (
        "batch norm behind the ReLU undone in front of it",
        blocks.Block.backward,
        "cache.relu is not None and not self.relu_first",
        "cache.relu is not None",
        "all extras",
    ),
    ("batch norm in front of the ReLU", blocks.Block.forward, "if self.relu_first:", "if False:", "all extras"),
    ("one mask for all updates", training.train, "[noise, step, 2]", "[noise, 0, 2]", "noise"),
    ("dropout and augmentation share a stream", training.train, "[noise, step, 2]", "[noise, step, 1]", "noise"),
    (
        "the last batch's mean alone",
        batch_statistics.precise_batch_norm,
        "+= (end - start) / n * mean ",
        "= mean ",
        "precise",
    ),
    (
        "every batch weighed alike",
        batch_statistics.precise_batch_norm,
        "+= (end - start) / n * (var",
        "+= 1 / len(starts) * (var",
        "precise",
    ),
    (
        "a last batch of one image",
        batch_statistics.precise_batch_norm,
        "range(0, n - 1, batch_size)",
        "range(0, n, batch_size)",
        "last image",
    ),
    (
        "adaptive statistics batch by batch",
        batch_statistics.adaptive_batch_norm,
        "sys.maxsize",
        "10",
        "adaptive",
    ),
    ("precise variance biased", batch_statistics.precise_batch_norm, "* (n / (n - 1))", "", "precise"),
    ("half the penalty", layers.l2_penalty_forward, "return l2 * ", "return l2 / 2 * ", "penalty"),
    ("penalty's gradient without its 2", layers.l2_penalty_backward, "2 * cache.l2", "cache.l2", "gradients"),
    (
        "penalty on biases and gammas too",
        network.MLP.cost_and_gradients,
        "gradients.weights += l2_penalty_backward(1.0, penalty_cache)",
        "gradients.flat[:] += l2_penalty_backward(1.0, penalty_cache._replace(W=self.parameters.flat))",
        "gradients",
    ),
    ("penalty missing in the gradient", network.MLP.cost_and_gradients, "gradients.weights += ", "_ = ", "gradients"),
    (
        "penalty on biases and gammas too, in the update",
        optimizers.update_in_blocks,
        "gradients.weights[block] += l2_penalty_backward(1.0, L2PenaltyCache(W, l2))",
        "gradients.flat[block] += l2_penalty_backward(1.0, L2PenaltyCache(parameters.flat[block], l2))",
        "ten steps",
    ),
    (
        "penalty missing in the update",
        optimizers.update_in_blocks,
        "gradients.weights[block] += ",
        "_ = ",
        "ten steps",
    ),
    (
        "the penalty's gradient not times eta",
        optimizers.sgd_update,
        "gradients, l2)",
        "gradients, l2 / eta)",
        "ten steps",
    ),
    ("penalty missing in the cost", network.MLP.cost, "+ self.penalty(l2)", "", "cost"),
    (
        "ReLU on the class scores",
        network.MLP.forward_with_caches,
        "return out, caches",
        "return np.maximum(out, 0), caches",
        "outputs, test",
    ),
    (
        "batch norm skipped in training",
        blocks.Block.forward,
        "if self.batch_norm:",
        "if self.batch_norm and not training:",
        "outputs, training",
    ),
    (
        "ReLU forgotten on the way back",
        blocks.Block.backward,
        "cache.relu is not None and not self.relu_first",
        "False",
        "gradients",
    ),
    (
        "running statistics advanced twice",
        network.MLP.loss_and_gradients,
        "self._advance_running_statistics(caches)",
        "[self._advance_running_statistics(caches) for _ in range(2)]",
        "ten steps",
    ),
    (
        "evaluation advances the running statistics",
        network.MLP.cost,
        "logits, _ = ",
        "logits, caches = self.forward_with_caches(x, True); self._advance_running_statistics(caches); logits, _ = ",
        "cost changes nothing",
    ),
    (
        "one array for all gradients",
        named_arrays.NamedArrays.zeros_like,
        "return new",
        "return self.__dict__.setdefault('_kept', new)",
        "own gradients",
    ),
    (
        "two parameters in one array",
        named_arrays.NamedArrays.__init__,
        "slice(start, start := start + prod(shapes[name]))",
        "slice(0, prod(shapes[name])) if name.endswith('bias') else slice(start, start := start + prod(shapes[name]))",
        "no shared memory",
    ),
    ("variance for std", he, "math.sqrt(2 / fan_in)", "2 / fan_in", "first weights"),
    ("2 / sqrt(n)", he, "math.sqrt(2 / fan_in)", "2 / math.sqrt(fan_in)", "first weights"),
    ("the peak one update early", schedules.cyclical_learning_rate, "t = step %", "t = (step + 1) %", "schedule"),
    (
        "the cycle half as long",
        schedules.cyclical_learning_rate,
        "step % (2 * step_size)",
        "step % step_size",
        "schedule",
    ),
    (
        "the schedule stepped per epoch",
        training.train,
        "learning_rate(last), minimum",
        "learning_rate(last * batch_size // images), minimum",
        "loop",
    ),
    ("gradient ascent", optimizers.sgd_update, "flat[block] -= ", "flat[block] += ", "ten steps"),
    (
        "biases never updated",
        optimizers.sgd_update,
        "parameters.flat[block] -= gradients.flat[block]",
        "parameters.weights[block] -= gradients.weights[block]",
        "ten steps",
    ),
    ("velocity an average", optimizers.Momentum.update, "v += g", "v += (1 - self.momentum) * g", "momentum"),
    ("velocity forgotten", optimizers.Momentum.update, "v *= self.momentum", "v *= 0", "momentum"),
    ("Nesterov without its look ahead", optimizers.Momentum.update, "if self.nesterov", "if False", "nesterov"),
    ("Adam's count stands still", optimizers.Adam.update, "updates += 1", "updates[:] = 1", "adam"),
    ("no bias correction", optimizers.Adam.update, "(1 - beta ** int(updates[0]))", "1", "adam"),
    ("Adam keeps the corrected moment", optimizers.Adam.update, "m += g", "m += g; m /= n1", "adam"),
    ("the betas swapped", optimizers.Adam.update, "v *= self.beta2", "v *= self.beta1", "adam"),
    ("the gradient not squared", optimizers.Adam.update, "g *= g", "np.abs(g, out=g)", "adam"),
    ("Adam without its root", optimizers.Adam.update, "np.sqrt(v, out=g)", "g[:] = v", "adam"),
    (
        "eps within the root",
        optimizers.Adam.update,
        "np.sqrt(v, out=g)\n        g += eps",
        "np.sqrt(v + eps**2, out=g)",
        "adam",
    ),
    ("eps not corrected", optimizers.Adam.update, "self.eps * math.sqrt(n2)", "self.eps", "adam"),
    ("no penalty in Adam", optimizers.Adam.update, "gradients, l2)", "gradients, 0.0)", "adam"),
    (
        "decay within the moments",
        optimizers.Adam.update,
        "gradients, l2)",
        "gradients, self.weight_decay / 2)",
        "adamw",
    ),
    ("decay not times eta", optimizers.Adam.update, "(eta * self.weight_decay)", "self.weight_decay", "adamw"),
    (
        "decay on biases and gammas too",
        optimizers.Adam.update,
        "gradients.weights[block] += (eta * self.weight_decay) * self.parameters.weights[block]",
        "g += (eta * self.weight_decay) * self.parameters.flat[block]",
        "adamw",
    ),
    (
        "decay as a factor that float32 rounds to 1",
        optimizers.Adam.update,
        "if self.w",
        DECAY_AS_A_FACTOR,
        "small decay",
    ),
    (
        "annealing at every update",
        schedules.cyclical_learning_rate,
        "annealing**cycle",
        "annealing**step",
        "annealing",
    ),
    (
        "annealing at every half cycle",
        schedules.cyclical_learning_rate,
        "annealing**cycle",
        "annealing**(step // step_size)",
        "annealing",
    ),
    (
        "eta_min annealed too",
        schedules.cyclical_learning_rate,
        "return eta_min",
        "return annealing**cycle * eta_min",
        "annealing",
    ),
    ("a whole cosine for a half", schedules.cosine_decay, "math.pi *", "2 * math.pi *", "cosine"),
    (
        "a decay that ends one update early",
        schedules.done,
        "step / updates",
        "step / max(updates - 1, 1)",
        "linear decay",
    ),
    ("a decay that ends at 0", schedules.linear_decay, "return eta_min +", "return", "linear decay"),
    ("as long up as down", schedules.one_cycle, "if part < warmup", "if part < (warmup := 0.5)", "one cycle"),
    ("the climb from 0", lr_range_test.suggested, ">= curve.start + climb", ">= climb", "range test"),
    ("a fall that nobody sees", lr_range_test.suggested, "accuracy - climb", "accuracy - 20 * climb", "range test"),
    (
        "the last eta before the fall for the best one",
        lr_range_test.suggested,
        "max(best, point, key=lambda point: point.validation_accuracy)",
        "point",
        "range test, ragged",
    ),
    ("even steps for even factors", lr_range_test.growing, 'if spacing == "linear"', "if True", "range test's rates"),
    ("not shuffled", training.minibatches, "rng.permutation(images)", "np.arange(images)", "epochs"),
    (
        "drawn with replacement",
        training.minibatches,
        "rng.permutation(images)",
        "rng.integers(0, images, images)",
        "epochs",
    ),
    (
        "the smaller batch lost",
        training.minibatches,
        "range(0, images, batch_size)",
        "range(0, images - batch_size + 1, batch_size)",
        "loop",
    ),
    ("evaluated with batch statistics", training.loss_and_accuracy, "training=False", "training=True", "loop"),
    (
        "test images standardized with their own statistics",
        image_data.split,
        "standardized(x, mean, std)",
        "standardized(x, *pixel_statistics(x))",
        "standardization",
    ),
    (
        "standardized twice",
        image_data.standardized,
        "rows /= std",
        "rows /= std; rows -= mean; rows /= std",
        "standardization",
    ),
    (
        "numerical cost with running statistics",
        finite_differences.TrainingCost.cost_and_signs,
        "self.x, True",
        "self.x, False",
        "batch statistics",
    ),
    ("half the difference", finite_differences.TrainingCost.difference, "(2 * self.h)", "self.h", "differences"),
    ("forward difference", finite_differences.TrainingCost.difference, "move(-self.h)", "move(0.0)", "differences"),
    (
        "a parameter that drifts",
        finite_differences.TrainingCost.difference,
        "move(0.0)",
        "move(-self.h)",
        "network restored",
    ),
    ("kinks not seen", finite_differences.TrainingCost.difference, "at_kink = not", "at_kink = False and", "kink"),
    (
        "NaN passes",
        gradient_check.compared,
        "(~explained | ~finite[rest]).sum() + (~finite[~rest]).sum()",
        "(difference > max(tolerance * scale, floor)).sum()",
        "not finite",
    ),
    (
        "a floor that one side suffices for",
        gradient_check.compared,
        "(np.abs(ours) <= floor) & (np",
        "(np.abs(ours) <= floor) | (np",
        "zero",
    ),
    ("flipped upside down", FlipsAndShifts.__init__, "columns[:, ::-1]", "columns[::-1]", "versions"),
    ("red and blue exchanged", FlipsAndShifts.__init__, "columns[:, ::-1]", "columns[:, ::-1, ::-1]", "versions"),
    ("rows as torch lays them out", FlipsAndShifts.__init__, "columns[:, ::-1]", "columns[:, :, ::-1]", "versions"),
    ("shifted up and down alone", FlipsAndShifts.__call__, "(s - dx) * C", "s * C", "versions"),
    ("shifted by channels, not pixels", FlipsAndShifts.__call__, "(s - dx) * C", "s * C - dx", "versions"),
    ("shifted to the other side", FlipsAndShifts.__call__, "s - dy, (s", "s + dy, (s", "versions"),
    (
        "what moves out comes back in",
        FlipsAndShifts.__call__,
        "padded[:, s : s + H, s * C : (s + W) * C] = images",
        "padded[:] = np.pad(images, ((0, 0), (s, s), (s * C, s * C)), mode='wrap')",
        "versions",
    ),
    ("the border not of zeros", FlipsAndShifts._padded_for, "np.zeros(", "np.ones(", "versions"),
    (
        "float64 kept in float32",
        FlipsAndShifts._padded_for,
        " or self._padded.dtype != batch.dtype",
        "",
        "kept array",
    ),
    ("one shift for the batch", FlipsAndShifts.__call__, "(2, n)", "(2, 1)", "versions, counted"),
    (
        "one flip for the batch",
        FlipsAndShifts.__call__,
        "rng.random(n)",
        "rng.random() * np.ones(n)",
        "versions, counted",
    ),
    ("never shifted the whole way", FlipsAndShifts.__call__, "s + 1, (2", "max(s, 1 - s), (2", "versions, counted"),
    ("the same way down as to the right", FlipsAndShifts.__call__, "s - dy, (s - dx)", "s - dy, (s - dy)", "versions"),
    ("flipped where it should not be", FlipsAndShifts.__call__, "< self.flip", ">= self.flip", "versions, counted"),
    (
        "drawn from a stream of its own",
        FlipsAndShifts.__call__,
        "rng.integers(",
        "np.random.default_rng().integers(",
        "own stream",
    ),
    ("what was shifted is not kept", FlipsAndShifts.__call__, "images[:] = windows", "images = windows", "versions"),
    (
        "a copy is shifted",
        FlipsAndShifts.__call__,
        "batch.reshape(",
        "np.ascontiguousarray(batch).reshape(",
        "batch itself",
    ),
    (
        "the twin's decay without its 2",
        parameter_groups,
        '"weight_decay": weight_decay',
        '"weight_decay": weight_decay / 2',
        "twin",
    ),
]


def changed(function, old, new):
    """The function as it would be with `new` for `old` in its source."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{old!r} must stand once in {function.__name__}"
    namespace = {}
    exec(
        compile(source.replace(old, new), f"<{function.__name__} with a mistake>", "exec"),
        function.__globals__,
        namespace,
    )
    return namespace[function.__name__]


@pytest.mark.parametrize(
    ("function", "old", "new", "check"), [mistake[1:] for mistake in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_planted_mistake_is_caught(monkeypatch, make_case, function, old, new, check):
    CHECKS[check](make_case)  # right without the mistake
    mistaken = changed(function, old, new)
    monkeypatch.setattr(function, "__code__", mistaken.__code__)
    monkeypatch.setattr(function, "__defaults__", mistaken.__defaults__)
    with pytest.raises(AssertionError), np.errstate(all="ignore"):
        CHECKS[check](make_case)
