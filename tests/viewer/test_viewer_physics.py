"""The badge hears what the numbers say, and its panel shows it: verdict, evidence, histogram; a NIfTI opens too."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from viewer_browser import Person, looking_at

import hounsfield
from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

pytestmark = pytest.mark.xdist_group("viewer")

SPEC = PhantomSpec(rows=128, columns=128, slices=5, padding=None)


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series whose Rescale Intercept was lost."""
    folder = tmp_path_factory.mktemp("lost")
    for path in phantom.write(SPEC, folder):
        dataset = pydicom.dcmread(path)
        dataset.RescaleIntercept = "0"
        dataset.save_as(path)
    return folder


def test_a_lost_offset_is_red_and_said_in_both_languages(person: Person, lost: Path) -> None:
    with looking_at(lost) as address:
        for language, words in (("en", "as if the offset"), ("zh", "似乎丢失了偏移量")):
            person.open(f"{address}&panel=numbers&lang={language}")
            person.see_image()
            section = person.page.locator(".physics[data-verdict=implausible]")
            section.wait_for()
            assert words in section.inner_text()
            badge = person.page.locator(".badge.bad")
            badge.wait_for()
            assert words in str(badge.get_attribute("title"))


def test_a_nifti_opens_like_a_folder_with_its_verdict(person: Person, tmp_path: Path) -> None:
    phantom.write(SPEC, tmp_path / "s")
    volume = hounsfield.load(tmp_path / "s")
    hounsfield.write_volume(volume, tmp_path / "head.nii.gz")
    with looking_at(tmp_path / "head.nii.gz") as address:
        person.open(f"{address}&panel=numbers&lang=en")
        person.see_image()
        section = person.page.locator(".physics[data-verdict=plausible]")
        section.wait_for()
        assert "air reads" in section.inner_text() and "water 0" in section.inner_text()
        assert person.page.locator(".physics-plot .bars").count() == 1
        found = person.point(*(side / 2 for side in person.size()))  # type: ignore[arg-type]
        assert found["value"] == int(volume.array[tuple(found["voxel"])])
