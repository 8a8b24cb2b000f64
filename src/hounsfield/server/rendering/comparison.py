"""A volume held against a series that is looked at: the difference as a layer, with what `check` says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hounsfield.ct.volume import Volume
from hounsfield.errors import SelectionError
from hounsfield.language import say, translated
from hounsfield.server.rendering.layers import Layer, values_layer, whole
from hounsfield.server.rendering.volumes import Stack
from hounsfield.verbs.check.volume import Candidate, compare, subject_of


def compared(stack: Stack, other: Path | Volume) -> Layer:
    """`other` less the series, on the series' voxels: (slices, rows, columns) in the series' unit.

    Raises `SelectionError` where the one has not as many voxels as the other, and whatever reading raises.
    """
    volume, shown = whole(stack)
    subject = subject_of(other)
    if not stack.series.phases or sorted(subject.values.shape) != sorted(volume.shape):
        sides = "×".join(map(str, subject.values.shape))
        raise SelectionError(
            say("{sides} voxels", sides=sides),
            expected="×".join(map(str, volume.shape)),
            where=subject.name,
            remedy="resample the one onto the other first",
        )
    found = compare(subject, Candidate(stack.series, stack.phase, stack.series.phases[stack.phase]))
    assert found.alignment is not None
    turned = found.alignment.apply(subject.values)[shown]
    described = found.to_json()
    for name in ("values", "geometry"):
        sentence = getattr(found, name).sentence
        described[name] |= {"sentence_zh": translated(sentence, "zh")}
    if not found.alignment.is_plain:
        sentence = found.alignment.sentence()
        described["axes"] |= {"sentence": str(sentence), "sentence_zh": translated(sentence, "zh")}
    difference = np.empty(turned.shape, np.float32)
    for place, index in enumerate(shown):
        # Both with the floor that values in HU are shown with: padding of whatever value is no difference.
        plane = turned[place].astype(np.float32)
        floored = np.maximum(plane, volume.padding_value) if volume.is_hounsfield else plane
        np.subtract(floored, volume.array[index], out=difference[place], casting="unsafe")
    facts: dict[str, Any] = {"check": described}
    return values_layer(difference, volume.affine, volume.unit, **facts)
