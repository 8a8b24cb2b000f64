"""The capabilities of a server as a WADL document (PS3.18 8.9, W3C Web Application Description Language)."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as Tree

from hounsfield.server.routes.endpoint import Endpoint

WADL = "application/vnd.sun.wadl+xml"
NAMESPACE = "http://wadl.dev.java.net/2009/02"
_STATUS = {"GET": "200 206", "POST": "200 202", "DELETE": "204"}


def wadl(base: str, described: Iterable[tuple[str, tuple[str, ...], Endpoint]]) -> bytes:
    """The document for endpoints, each as (path, names in the path, endpoint), below the service's URL `base`."""
    root = Tree.Element("application", xmlns=NAMESPACE)
    resources = Tree.SubElement(root, "resources", base=f"{base}/")
    by_path: dict[str, Tree.Element] = {}
    for path, names, endpoint in described:
        if path not in by_path:
            resource = by_path[path] = Tree.SubElement(resources, "resource", path=path.lstrip("/"))
            for name in names:
                Tree.SubElement(resource, "param", name=name, style="template", required="true")
        _method(by_path[path], endpoint)
    return bytes(Tree.tostring(root, encoding="utf-8", xml_declaration=True))


def _method(resource: Tree.Element, endpoint: Endpoint) -> None:
    method = Tree.SubElement(resource, "method", name=endpoint.method)
    Tree.SubElement(method, "doc", title=endpoint.summary)
    request = Tree.SubElement(method, "request")
    for name, what in endpoint.queries:
        param = Tree.SubElement(request, "param", name=name, style="query")
        Tree.SubElement(param, "doc", title=what)
    for kind in endpoint.consumes:
        Tree.SubElement(request, "representation", mediaType=kind)
    response = Tree.SubElement(method, "response", status=_STATUS[endpoint.method])
    for kind in endpoint.produces if endpoint.method != "DELETE" else ():
        Tree.SubElement(response, "representation", mediaType=kind)
