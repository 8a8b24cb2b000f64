"""Every series of a location: load what can be trusted, say why the rest cannot.

python examples/trust_before_use.py LOCATION
"""

import sys

import hounsfield
from hounsfield.verbs.inspect import Trust, inspect

for series in hounsfield.scan(sys.argv[1]).series:
    found = inspect(series, pixels=False)
    if found.trust is Trust.RED:
        print(f"{series.name}: not used: {'; '.join(found.cautions)}")
        continue
    volume = series.load()
    print(f"{series.name}: {volume}")
    for caution in found.cautions:
        print(f"  {caution}")
