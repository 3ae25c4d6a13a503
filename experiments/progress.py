"""The progress bar of a training: time left, and how it goes."""

from types import TracebackType
from typing import Self

from tqdm import tqdm

from manual_mlp import Record


class Progress:
    """Hand `update` and `record` to `train`. The bar shows the latest batch's loss and the latest record's accuracy."""

    def __init__(self, name: str, updates: int, done: int = 0) -> None:
        self.bar = tqdm(total=updates, initial=done, desc=f"{name:<10}", unit=" updates", dynamic_ncols=True)
        self.latest: Record | None = None

    def record(self, record: Record) -> None:
        self.latest = record
        self.show(record.train_loss, record.eta)

    def update(self, step: int, eta: float, loss: float) -> None:
        if step % 20 == 0:
            self.show(loss, eta)
        self.bar.update()

    def show(self, loss: float, eta: float) -> None:
        accuracy = f"{100 * self.latest.validation_accuracy:.1f} %" if self.latest else "-"
        self.bar.set_postfix_str(f"loss {loss:.3f}, validation {accuracy}, eta {eta:.4f}", refresh=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()
