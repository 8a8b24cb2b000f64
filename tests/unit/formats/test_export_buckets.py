"""Volumes into a bucket, over HTTP, against a real S3 server (moto): the same bytes as on a disk."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
import zarr
from click.testing import CliRunner

from hounsfield import load, phantom, scan, write_volume
from hounsfield.cli import main
from hounsfield.errors import HounsfieldError, LocationError, OutputExistsError
from hounsfield.formats import buckets, write_series
from hounsfield.phantom import PhantomSpec

pytest.importorskip("obstore", reason="obstore is not installed: pip install 'hounsfield[s3]'")
PLAIN = PhantomSpec(rows=40, columns=48, slices=9)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("moto", reason="moto is not installed: pip install 'moto[server]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib3.request("PUT", f"{address}/bucket", retries=False)
                break
            except urllib3.exceptions.HTTPError:
                time.sleep(0.1)
        yield address
        server.kill()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return "s3://bucket"


def client(endpoint: str) -> Any:
    """Amazon's own client, that objects are looked at by another hand."""
    import boto3

    return boto3.client("s3", endpoint_url=endpoint)


def stored(endpoint: str, key: str) -> bytes:
    return bytes(client(endpoint).get_object(Bucket="bucket", Key=key)["Body"].read())


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".npy"])
def test_a_file_in_a_bucket_is_the_file_on_a_disk(
    bucket: str, endpoint: str, tmp_path: Path, suffix: str
) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    volume = load(tmp_path / "in")
    write_volume(volume, tmp_path / f"v{suffix}")
    assert write_volume(volume, f"{bucket}/deep/v{suffix}") == ()
    assert stored(endpoint, f"deep/v{suffix}") == (tmp_path / f"v{suffix}").read_bytes()
    if suffix == ".npy":
        assert json.loads(stored(endpoint, "deep/v.json"))["unit"] == "HU"


def test_a_zarr_in_a_bucket_reads_as_the_volume(bucket: str, tmp_path: Path) -> None:
    from obstore.store import from_url
    from zarr.storage import ObjectStore

    phantom.write(replace(PLAIN, rows=140, columns=150), tmp_path / "in")
    (series,) = scan(tmp_path / "in").series
    volume = series.load()
    write_volume(volume, f"{bucket}/a.zarr")
    write_series(series, f"{bucket}/b.zarr")
    for name in ("a.zarr", "b.zarr"):
        group = zarr.open_group(ObjectStore(from_url(f"{bucket}/{name}")), mode="r")
        assert np.array_equal(group["0"][...], volume.array)
        assert group.attrs["ome"]["version"] == "0.5"
        assert group.attrs["hounsfield"]["uids"] == list(volume.uids)


@pytest.mark.parametrize("name", ["kept.nii", "kept.zarr"])
def test_what_is_in_a_bucket_is_replaced_only_by_force(bucket: str, tmp_path: Path, name: str) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    volume = load(tmp_path / "in")
    write_volume(volume, f"{bucket}/{name}")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_volume(volume, f"{bucket}/{name}")
    write_volume(volume, f"{bucket}/{name}", force=True)


@pytest.mark.parametrize("address", ["s3://no-such-bucket-here/v.nii", "s3://bucket", "s3://"])
def test_what_a_bucket_refuses_is_an_error_in_one_line(bucket: str, tmp_path: Path, address: str) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    with pytest.raises(HounsfieldError) as raised:
        write_volume(load(tmp_path / "in"), f"{address}.nii" if address == "s3://" else address)
    assert len(str(raised.value)) < 600


def test_a_folder_of_series_goes_into_a_bucket_once(bucket: str, endpoint: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "in" / str(seed))
    for suffix in (".nii.gz", ".zarr"):
        command = [
            "volume",
            str(tmp_path / "in"),
            f"{bucket}/many{suffix[1:3]}",
            "--format",
            suffix,
            "--json",
        ]
        refused = CliRunner().invoke(main, command)
        assert refused.exit_code == 1 and "--ledger" in refused.stderr
        command += ["--ledger", str(tmp_path / suffix[1:3] / "l.jsonl"), "--workers", "2"]
        for kept in (False, True):
            done = CliRunner().invoke(main, command)
            rows = json.loads(done.stdout)["volumes"]
            assert [(row["status"], row["kept"]) for row in rows] == [("made", kept)] * 2, rows
            assert all(buckets.size_of(row["output"]) is not None for row in rows)
        assert (tmp_path / suffix[1:3] / "hounsfield.html").is_file()


def test_an_object_that_is_gone_from_the_bucket_is_made_again(
    bucket: str, endpoint: str, tmp_path: Path
) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    command = [
        "volume",
        str(tmp_path / "in"),
        f"{bucket}/gone",
        "--ledger",
        str(tmp_path / "l.jsonl"),
        "--json",
    ]
    (row,) = json.loads(CliRunner().invoke(main, command).stdout)["volumes"]
    key = row["output"].removeprefix("s3://bucket/")
    client(endpoint).delete_object(Bucket="bucket", Key=key)
    (again,) = json.loads(CliRunner().invoke(main, command).stdout)["volumes"]
    assert not again["kept"]
    assert stored(endpoint, key)


def test_a_bucket_without_obstore_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(HounsfieldError, match=r"hounsfield\[s3\]"):
        buckets.size_of("s3://bucket/x.nii")
    assert issubclass(LocationError, HounsfieldError)
