"""`hounsfield verify`: is everything still as it was stored?"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import paced
from hounsfield.cli.combinations import refuse_odd_options
from hounsfield.cli.terminal import Column, bytes_text, echo, print_json, progress, table
from hounsfield.cli.verify.proofs import verify_copy

if TYPE_CHECKING:
    from hounsfield.runs import Pace
    from hounsfield.server.ops.verification import Verified

WORDS = {
    "en": {
        "continued": "going on with a check that was stopped after {instances:,} instances",
        "sound": "{instances:,} instances, {size}: all as they were stored",
        "damaged": "{damaged:,} of {instances:,} instances, {size}, are not as they were stored",
        "noted": "{noted:,} had no digest yet and have one now",
        "mended": "{mended:,} had a wrong digest in the index and have the right one now",
        "owned": "{owned:,} lie where their owners keep them and were not checked",
        "instance": "instance",
        "problem": "problem",
        "found": "found",
        "where": "where",
        "other bytes": "other bytes",
        "gone": "gone",
        "header": "header in the index",
        "unreadable": "cannot be read",
        "heal": "to heal them, store them again: hounsfield copy SOURCE SERVER --verify",
    },
    "zh": {
        "continued": "继续上次中断的校验（已校验 {instances:,} 个实例）",
        "sound": "{instances:,} 个实例，{size}：全部与存入时一致",
        "damaged": "{instances:,} 个实例（{size}）中有 {damaged:,} 个与存入时不一致",
        "noted": "{noted:,} 个实例此前没有校验值，现已补上",
        "mended": "{mended:,} 个实例在索引中的校验值有误，现已更正",
        "owned": "{owned:,} 个实例由原所有者就地保管，未校验",
        "instance": "实例",
        "problem": "问题",
        "found": "检查结果",
        "where": "位置",
        "other bytes": "内容不一致",
        "gone": "文件缺失",
        "header": "索引中的头信息损坏",
        "unreadable": "无法读取",
        "heal": "重新存入即可修复：hounsfield copy 来源 服务器 --verify",
    },
}
"""Printed texts, by language."""


@click.command(
    epilog=options.examples(
        "hounsfield verify archive/",
        "hounsfield verify archive/ --max-mb-s 50 --between 20:00-06:00",
        "hounsfield verify archive/ --database postgresql://db/pacs --store s3://bucket/pacs",
        "hounsfield verify old/ new/ --csv audit.csv",
        "hounsfield verify old/ new/ --max-error 2",
    )
)
@click.argument("old", metavar="ARCHIVE|OLD", type=options.Place())
@click.argument("new", metavar="[NEW]", required=False, type=options.Place())
@click.option("--database", metavar="URL", help="The archive's index, as with `hounsfield serve`.")
@click.option("--store", metavar="PLACE", help="The archive's files, as with `hounsfield serve`.")
@click.option("--restart", is_flag=True, help="From the beginning, though an earlier check was stopped.")
@click.option(
    "--csv",
    "audit",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With NEW: a row for each frame, for an auditor.",
)
@click.option(
    "--max-error",
    type=options.FiniteRange(min=0),
    metavar="HU",
    help="With NEW: accept images that say they were compressed with loss, if they are at most so far off.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    show_default="one a core",
    help="With NEW: files at once.",
)
@options.isolate
@paced
@options.force
@options.lang
@options.as_json
def verify(
    old: str,
    new: str | None,
    database: str | None,
    store: str | None,
    restart: bool,
    lang: str,
    as_json: bool,
    **asked: Any,
) -> None:
    """Check every instance of an archive of `hounsfield serve` against its SHA-256; or hold NEW against OLD.

    An archive may be checked beside its server, and a check that was stopped goes on where it was. With NEW, two
    locations are compared file by file: every value of every frame, and all attributes but those that say how pixels
    are stored. OLD may be hounsfield-files.jsonl, the ledger of a backup: then its hashes stand for the originals.
    Exit status 1 when anything is not as it was.
    """
    refuse_odd_options(click.get_current_context(), _OF_TWO if new is not None else _OF_ONE)
    if new is not None:
        verify_copy(old, new, lang=lang, as_json=as_json, **asked)
        return
    continued = "" if as_json else WORDS[lang]["continued"]
    result = _checked(Path(old), database, store, restart, asked["pace"], continued)
    if as_json:
        print_json({"archive": old, **result.to_json()})
    else:
        _show(result, WORDS[lang])
    if result.damaged:
        raise click.exceptions.Exit(1)


_OF_ONE = (
    "an archive alone",
    frozenset({"old", "database", "store", "restart", "max_mb_s", "between", "lang", "as_json"}),
)
_OF_TWO = (
    "two locations",
    frozenset(
        {"old", "new", "audit", "max_error", "workers", "max_mb_s", "between", "force", "lang", "as_json"}
    ),
)


def _checked(
    folder: Path, database: str | None, store: str | None, restart: bool, pace: Pace | None, continued: str
) -> Verified:
    """The archive's instances, checked, with a bar on a terminal; `continued` says that it is gone on with."""
    from hounsfield.errors import LocationError
    from hounsfield.server.deployment import Deployment
    from hounsfield.server.ops.verification import Verified, verify

    deployment = Deployment(str(folder.absolute()), database=database, store=store)
    if not deployment.private.is_dir():
        raise LocationError(
            "no archive of `hounsfield serve`", where=str(folder), remedy="give the folder that it keeps"
        )
    archive = deployment.open_beside()
    try:
        with progress("Verifying", total=archive.index.totals()[2]) as done:
            before = None if restart else Verified.stopped(deployment.verified)
            begun = before.instances if before is not None else 0
            if begun and continued:
                echo(continued.format(instances=begun), err=True)
            done(begun)
            step = functools.partial(_advance, done, [begun])
            return verify(archive, deployment.verified, pace=pace, restart=restart, progress=step)
    finally:
        deployment.close(archive)


def _advance(done: Any, at: list[int], state: Verified) -> None:
    done(state.instances - at[0])
    at[0] = state.instances


def _show(result: Verified, words: dict[str, str]) -> None:
    if result.damaged:
        table(
            [
                {
                    "instance": each.instance,
                    "problem": words[each.problem],
                    "found": each.found,
                    "where": each.where,
                }
                for each in result.damaged
            ],
            [
                Column("instance", words["instance"], folds=True),
                Column("problem", words["problem"]),
                Column("found", words["found"], folds=True),
                Column("where", words["where"], folds=True),
            ],
        )
    numbers = {
        "instances": result.instances,
        "damaged": len(result.damaged),
        "size": bytes_text(result.bytes),
    }
    echo(words["damaged" if result.damaged else "sound"].format(**numbers))
    if result.damaged:
        echo(words["heal"])
    for key in ("noted", "mended", "owned"):
        if count := getattr(result, key):
            echo(words[key].format(**{key: count}))
