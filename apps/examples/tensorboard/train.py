"""Writes a run for TensorBoard: `python train.py FOLDER`."""

import sys

from tensorboard.summary import Writer

writer = Writer(sys.argv[1])
for step in range(100):
    writer.add_scalar("loss", 1 / (step + 1), step)
writer.close()
