"""
Every element of the vendor's page *Model sync* (help.aliyun.com/en/document_detail/2834502.html), copied by hand.

Nothing here is taken from our code: what the code lacks must show. ``ours`` says what sends or reads an element.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

ROUTE = "POST /scc/spSdModelSync"


class Element(NamedTuple):
    """
    One thing that the page lists.

    :param kind: a request parameter, a field of the model tree, a listed value of one of them, a field of the answer,
        or a value of its status.
    :param path: where it is; ``[]`` is any place of a list.
    :param ours: the name under which we send or read it.
    :param value: the page's example, or the listed value.
    :param need: as the page has it; ``unstated``: it says neither.
    """

    kind: Literal["parameter", "field", "value", "answer", "status"]
    path: str
    ours: str
    value: Any
    need: Literal["required", "optional", "unstated"] = "unstated"


PARAMETERS = [
    Element("parameter", "apiToken", "extra api_token of the connection", "01j1w6cxqz0000", "required"),
    Element("parameter", "roleId", "SessionParameters.role_id", "01j2bapbjd0000", "optional"),
    Element("parameter", "sessionMode", "SessionParameters.session_mode", 10, "optional"),
    Element("parameter", "expiredInSeconds", "SessionParameters.expired_in_seconds", 3600, "optional"),
    Element("parameter", "customResourceConfigId", "SessionParameters.custom_resource_config_id", "a,b", "optional"),
]

MODEL = [
    Element("field", "modelId", "ModelTree.model_id", "xxxxx", "required"),
    Element("field", "name", "ModelTree.name", "Demo", "required"),
    Element("field", "modelType", "ModelTree.model_type", "checkpoint", "required"),
    Element("field", "modelDesc", "ModelTree.model_desc", "xxxx", "optional"),
    Element("field", "source", "ModelTree.source", "https://xxxx", "optional"),
    Element("field", "sourceType", "ModelTree.source_type", "internal", "required"),
    Element("field", "isOriginal", "ModelTree.is_original", False),
    Element("field", "originalCreator", "ModelTree.original_creator", "ccc"),
    Element("field", "originalCreatorHomepage", "ModelTree.original_creator_homepage", "https://xxxx"),
    Element("field", "versions", "ModelTree.versions", list),
]

VERSION = [
    Element("field", "versions[].modelVersionId", "Version.model_version_id", "xxxx", "required"),
    Element("field", "versions[].name", "Version.name", "v1.2.2-EOL", "required"),
    Element("field", "versions[].baseModel", "Version.base_model", "v1.5", "required"),
    Element("field", "versions[].versionDesc", "Version.version_desc", "xxxx", "optional"),
    Element(
        "field", "versions[].triggerWords", "Version.trigger_words", ["rev", "animated", "v1.2.2", "eol"], "optional"
    ),
    Element("field", "versions[].isAutoCollection", "Version.is_auto_collection", True, "optional"),
    Element("field", "versions[].covers", "Version.covers", list),
    Element("field", "versions[].files", "Version.files", list),
]

COVER = [
    Element("field", "versions[].covers[].cover", "Cover.cover", "https://xxx.jpeg", "required"),
    Element("field", "versions[].covers[].coverFile", "Cover.cover_file", dict, "required"),
    Element("field", "versions[].covers[].coverFile.width", "CoverFile.width", 1920, "required"),
    Element("field", "versions[].covers[].coverFile.height", "CoverFile.height", 1080, "required"),
    Element("field", "versions[].covers[].coverFile.format", "CoverFile.format", "jpeg", "optional"),
]

FILE = [
    Element("field", "versions[].files[].name", "File.name", "revAnimated_v122EOL.safetensors", "required"),
    Element("field", "versions[].files[].aliasName", "File.alias_name", "revAnimated_v122EOL", "required"),
    Element("field", "versions[].files[].downloadUrl", "File.download_url", "https://xxx", "required"),
    Element("field", "versions[].files[].hash", "File.hash", "xxx", "required"),
    Element("field", "versions[].files[].sizeKb", "File.size_kb", 5376404.0390625, "required"),
    Element("field", "versions[].files[].isPrimary", "File.is_primary", True),
]

VALUES = [
    *[Element("value", "sessionMode", "SessionParameters.session_mode", mode) for mode in (10, 20)],
    *[
        Element("value", "modelType", "ModelTree.model_type", name)
        for name in ("checkpoint", "lora", "textualinversion", "vae")
    ],
    *[
        Element("value", "sourceType", "ModelTree.source_type", name)
        for name in ("liblib", "civitia", "hugging_face", "internal")
    ],
    *[
        Element("value", "versions[].baseModel", "Version.base_model", name)
        for name in (
            *("v1.4", "v1.5", "v2.0", "v2.1", "vxl_0.9", "vxl_1.0", "vxl_distilled", "v1.5_lcm", "vxl_1.0_lcm"),
            "vxl_turbo",
        )
    ],
]

ANSWER = [
    Element("answer", "data", "ListingStatus", dict),
    Element("answer", "data.modelId", "ListingStatus.model_id", str),
    Element("answer", "data.modelVersionId", "ListingStatus.model_version_id", str),
    Element("answer", "data.modelFileId", "ListingStatus.model_file_id", str),
    Element("answer", "data.status", "ListingStatus.status", int),
]

STATUSES = [
    Element("status", "data.status", "not-listed", 0),
    Element("status", "data.status", "in-progress", 5),
    Element("status", "data.status", "listed", 10),
    Element("status", "data.status", "failed", -10),
]

REQUEST = [*PARAMETERS, *MODEL, *VERSION, *COVER, *FILE]
PAGE = [*REQUEST, *VALUES, *ANSWER, *STATUSES]
