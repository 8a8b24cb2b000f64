"""Presentation contexts: which are proposed, which are accepted, in how many associations they fit.

A C-STORE has one context for each SOP class and transfer syntax, so that a peer that takes the class but not the
syntax says so for that pair alone; a default syntax beside each class is what can be transcoded to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hounsfield.dimse.pdus import (
    ABSTRACT_SYNTAX_REFUSED,
    ACCEPTED,
    APPLICATION_CONTEXT,
    MAX_CONTEXTS,
    TRANSFER_SYNTAXES_REFUSED,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    RoleSelection,
    UserInformation,
)

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
UNCOMPRESSED = (EXPLICIT, IMPLICIT)
"""Transfer syntaxes that everybody reads; implicit must be among what is proposed for every SOP class (PS3.5 10.1)."""

Pair = tuple[str, tuple[str, ...]]


def proposed(pairs: Iterable[Pair]) -> tuple[ProposedContext, ...]:
    """Contexts for (SOP class, transfer syntaxes) pairs, at most 128, numbered 1, 3, 5 …"""
    return tuple(ProposedContext(2 * n + 1, *pair) for n, pair in enumerate(pairs))


def storage_pairs(wanted: Iterable[tuple[str, str]]) -> list[Pair]:
    """Pairs to propose for instances of (SOP class, transfer syntax): each as it is, and each class uncompressed."""
    kinds = dict.fromkeys(wanted)
    pairs: list[Pair] = [(sop_class, (syntax,)) for sop_class, syntax in kinds]
    for sop_class in dict.fromkeys(each for each, _ in kinds):
        if (sop_class, IMPLICIT) not in kinds:
            pairs.append((sop_class, tuple(each for each in UNCOMPRESSED if (sop_class, each) not in kinds)))
    return pairs


def split(kinds: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Kinds of instances in groups whose contexts fit into one association each."""
    group: list[tuple[str, str]] = []
    for kind in sorted(set(kinds)):
        if len(storage_pairs([*group, kind])) > MAX_CONTEXTS:
            yield group
            group = []
        group.append(kind)
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The terms of an acceptor: `titles` it answers to (none: any), `callers` it knows (none: any) and `syntaxes`.

    `syntaxes` gives the transfer syntaxes that are taken for a SOP class; none for a class that is not. `as_scu` says
    of which classes the requestor may be SCP, so that a C-GET can send it instances.
    """

    titles: frozenset[str]
    callers: frozenset[str]
    syntaxes: Callable[[str], Collection[str]] = field(repr=False)
    as_scu: Callable[[str], bool] = field(repr=False)

    def reply(self, request: AssociateRequest) -> AssociateAccept | AssociateReject:
        """The answer to a proposal; nothing of it is refused but what must be."""
        if not request.protocol_version & 1:
            return AssociateReject(1, 2, 2)
        if request.application_context != APPLICATION_CONTEXT:
            return AssociateReject(1, 1, 2)
        if self.titles and request.called not in self.titles:
            return AssociateReject(1, 1, 7)
        if self.callers and request.calling not in self.callers:
            return AssociateReject(1, 1, 3)
        roles = [each for role in request.user.roles if (each := self._role(role))]
        wants = request.user.identity is not None and request.user.identity.wants_response
        user = UserInformation(roles=tuple(roles), identity_response=b"" if wants else None)
        return AssociateAccept(
            request.called, request.calling, tuple(map(self._result, request.contexts)), user
        )

    def _result(self, context: ProposedContext) -> ContextResult:
        known = self.syntaxes(context.abstract_syntax)
        if not known:
            return ContextResult(context.id, ABSTRACT_SYNTAX_REFUSED)
        # The first is likely that in which the instances are; implicit VR loses the VRs of private elements.
        ordered = sorted(context.transfer_syntaxes, key=lambda each: each == IMPLICIT)
        syntax = next((each for each in ordered if each in known), None)
        if syntax is None:
            return ContextResult(context.id, TRANSFER_SYNTAXES_REFUSED)
        return ContextResult(context.id, ACCEPTED, syntax)

    def _role(self, role: RoleSelection) -> RoleSelection | None:
        """The roles that are granted of those proposed (PS3.7 D.3.3.4.2)."""
        if not self.syntaxes(role.sop_class):
            return None
        return RoleSelection(role.sop_class, role.scu, role.scp and self.as_scu(role.sop_class))
