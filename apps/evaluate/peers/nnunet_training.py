"""nnU-Net's own training, stopped after minutes instead of 1000 epochs. Run by `nnunet.py`.

    PYTHON apps/evaluate/peers/nnunet_training.py DATASET --configuration 2d --minutes 60

PYTHON is one that has nnunetv2; this file imports nothing of the project. The class carries the
name of the one it stands for: nnU-Net finds networks to predict with by the name of their trainer.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path


def main() -> None:
    import torch
    from nnunetv2.paths import nnUNet_preprocessed
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--configuration", default="2d")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--iterations", type=int, default=25, help="per epoch")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112  in this process; its planner wants 1

    class nnUNetTrainer(stock.nnUNetTrainer):  # noqa: N801
        """Epochs until time is up; the learning rate falls with the share of time that is gone."""

        def on_train_epoch_start(self) -> None:
            super().on_train_epoch_start()
            self.lr_scheduler.step(self.share * self.num_epochs)

        @property
        def share(self) -> float:
            gone = (time.monotonic() - self.begun) / 60 / options.minutes
            return float(min(gone, 0.999))

        def run_training(self) -> None:
            self.num_iterations_per_epoch = options.iterations
            self.num_val_iterations_per_epoch = max(1, options.iterations // 5)
            self.begun = time.monotonic()
            self.on_train_start()
            while self.share < 0.999:
                self.on_epoch_start()
                self.on_train_epoch_start()
                self.on_train_epoch_end([self.train_step(next(self.dataloader_train))
                                         for _ in range(self.num_iterations_per_epoch)])
                with torch.no_grad():
                    self.on_validation_epoch_start()
                    self.on_validation_epoch_end([
                        self.validation_step(next(self.dataloader_val))
                        for _ in range(self.num_val_iterations_per_epoch)])
                self.on_epoch_end()
            self.on_train_end()

    folder = Path(nnUNet_preprocessed, options.dataset)
    plans = stock.load_json(str(folder / "nnUNetPlans.json")) | {"continue_training": False}
    about = stock.load_json(str(folder / "dataset.json"))
    trainer = nnUNetTrainer(plans, options.configuration, "all", about,
                            device=torch.device(options.device))
    trainer.run_training()
    print(f"{trainer.current_epoch} epochs of {options.iterations} iterations")


if __name__ == "__main__":
    main()
