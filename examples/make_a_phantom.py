"""Make CT with a fault of your choice and see what a reader does with it.

python examples/make_a_phantom.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np

import hounsfield
from hounsfield import phantom

folder = Path(sys.argv[1])
spec = phantom.PhantomSpec(rows=96, columns=96, slices=12, tilt=-15.0, padding_vr="US")
phantom.write(spec, folder)
volume = hounsfield.load(folder)
print(volume)
print("largest error against the truth:", np.abs(volume.array - np.rint(phantom.truth(spec))).max(), "HU")
for insert in phantom.measure(volume):
    print(insert)
