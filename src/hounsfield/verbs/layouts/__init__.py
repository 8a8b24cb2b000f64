"""A location → a data set in the layout of nnU-Net, MONAI or BIDS: images, labels, splits by patient, a data card."""

from hounsfield.verbs.layouts.writing import LAYOUTS, Written, write_layout

__all__ = ["LAYOUTS", "Written", "write_layout"]
