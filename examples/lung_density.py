"""A measurement by position and HU: how much of a chest CT lies between −950 and −700 HU, in millilitres.

python examples/lung_density.py LOCATION [SERIES]
"""

import sys

import numpy as np

import hounsfield

volume = hounsfield.load(
    sys.argv[1], series=sys.argv[2] if len(sys.argv) > 2 else None, require_hounsfield=True
)
voxel_ml = abs(np.linalg.det(volume.affine[:3, :3])) / 1000
share = np.count_nonzero((volume.array >= -950) & (volume.array < -700))
print(f"{share * voxel_ml:.1f} ml between −950 and −700 HU")
