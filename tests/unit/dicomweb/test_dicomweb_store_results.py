"""Answers to a store: every instance told apart, silence never taken for success; and Warning headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicomweb.dicom_json import encode_models
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.store_results import (
    StoredInstance,
    StoreResult,
    parse_store_result,
    reason_text,
    store_result_model,
)
from hounsfield.dicomweb.warnings299 import PeerWarning, more_results, parse_warnings
from hounsfield.errors import DicomwebError

CT = "1.2.840.10008.5.1.4.1.1.2"
RESULT = StoreResult(
    (
        StoredInstance("1.1", "stored", CT, url="http://h/studies/1/series/2/instances/1.1"),
        StoredInstance("1.2", "warned", CT, 0xB000, reason_text(0xB000)),
        StoredInstance("1.3", "refused", CT, 0xA700, reason_text(0xA700)),
    ),
    url="http://h/studies/1",
)


@pytest.mark.parametrize("xml", [False, True])
@pytest.mark.parametrize("content_type", ["right", "", "text/plain; charset=utf-8"])
def test_a_result_is_read_back_whatever_its_form(xml: bool, content_type: str) -> None:
    model = store_result_model(RESULT)
    body = encode_xml(model) if xml else encode_models([model])
    if content_type == "right":
        content_type = (
            "application/dicom+xml; charset=utf-8" if xml else "application/dicom+json; transfer-syntax=1"
        )
    found = parse_store_result(RESULT.status(), content_type, body, ["1.1", "1.2", "1.3"])
    assert found == RESULT
    assert not found.complete


def test_an_instance_the_answer_is_silent_about_is_unconfirmed() -> None:
    found = parse_store_result(200, "", b"", ["1.1", "1.1", "1.9"])
    assert [(each.sop_instance, each.outcome) for each in found.instances] == [
        ("1.1", "unconfirmed"),
        ("1.9", "unconfirmed"),
    ]
    assert not found.complete


def test_an_instance_in_both_lists_is_refused() -> None:
    item = {"00081155": {"vr": "UI", "Value": ["1.1"]}, "00081197": {"vr": "US", "Value": [272]}}
    model = {"00081199": {"vr": "SQ", "Value": [item]}, "00081198": {"vr": "SQ", "Value": [item]}}
    [one] = parse_store_result(202, "", encode_models([model]), ["1.1"]).instances
    assert (one.outcome, one.code, one.reason) == ("refused", 0x0110, "processing failure")


def test_words_of_the_server_are_told() -> None:
    item = {
        "00081155": {"vr": "UI", "Value": ["1.1"]},
        "00081197": {"vr": "US", "Value": [43264]},
        "00741048": {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": ["PatientID is missing"]}}]},
    }
    [one] = parse_store_result(
        409, "", encode_models([{"00081198": {"vr": "SQ", "Value": [item]}}])
    ).instances
    assert one.reason == "the data set does not match its SOP Class: PatientID is missing"


def test_status_follows_what_happened() -> None:
    stored, warned, refused = (StoredInstance("1", each) for each in ("stored", "warned", "refused"))
    assert StoreResult((stored,)).status() == 200
    assert StoreResult((stored, refused)).status() == 202
    assert StoreResult((warned,)).status() == 202
    assert StoreResult((refused,)).status() == 409
    assert "00081198" not in store_result_model(StoreResult((stored, warned)))
    assert "00081199" not in store_result_model(StoreResult((refused,)))


@pytest.mark.parametrize("status", [400, 401, 413, 500, 503])
def test_another_status_is_an_error_that_carries_it(status: int) -> None:
    with pytest.raises(DicomwebError) as caught:
        parse_store_result(status, "", b"")
    assert caught.value.data["status"] == status


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0xA701, "out of resources"),
        (0xC123, "cannot be understood"),
        (0xC122, "transfer syntax not supported"),
        (0x1234, "reason 1234"),
        (0, "no reason given"),
    ],
)
def test_reason_codes_in_words(code: int, text: str) -> None:
    assert reason_text(code) == text


@given(
    st.integers(0, 999),
    st.text("abc:/.-", min_size=1).filter(lambda a: not a.endswith(":")),
    st.text(max_size=40),
)
def test_a_warning_is_read_back(code: int, agent: str, text: str) -> None:
    text = "".join(each if each.isprintable() else " " for each in text)
    assert parse_warnings(str(PeerWarning(code, agent, text))) == (PeerWarning(code, agent, text),)


@pytest.mark.parametrize(
    ("header", "texts", "remaining"),
    [
        ("299 http://h/dicom: There are 7 additional results that can be requested", 1, 7),
        ('299 h "There are 12 additional results that can be requested", 299 h "also, this" "Mon"', 2, 12),
        ('299 {SERVICE}: "The fuzzymatching parameter is not supported."', 1, None),
        ("nonsense", 1, None),
        ("", 0, None),
        (None, 0, None),
    ],
)
def test_warnings_of_peers(header: str, texts: int, remaining: int | None) -> None:
    found = parse_warnings(header)
    assert len(found) == texts
    assert (found[0].remaining if found else None) == remaining


def test_the_next_page_is_told() -> None:
    assert parse_warnings(str(more_results("h", 3)))[0].remaining == 3
