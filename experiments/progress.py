"""The progress bar of a training: time left, and how it goes."""

from types import TracebackType
from typing import Self

from tqdm import tqdm

from manual_mlp import Record


class Progress:
    """Hand `update` and `record` to `train`. The bar shows the latest batch's loss and the latest record's accuracy."""

    def __init__(self, name: str, updates: int) -> None:
        self.bar = tqdm(total=updates, desc=f"{name:<10}", unit=" updates", dynamic_ncols=True)
        self.accuracy = "-"

    def record(self, record: Record) -> None:
        self.accuracy = f"{100 * record.validation_accuracy:.1f} %"

    def update(self, step: int, eta: float, loss: float) -> None:
        if step % 20 == 0:
            self.bar.set_postfix_str(f"loss {loss:.3f}, validation {self.accuracy}, eta {eta:.4f}", refresh=False)
        self.bar.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()
