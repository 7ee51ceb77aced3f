"""The data of a run as Croissant 1.0 with its vocabulary for responsible AI (https://mlcommons.org/croissant)."""

from mlnb.codec import Json, JsonObject
from mlnb.governance.document_inputs import DataColumn, DocumentInputs

FILE, RECORDS = "data-file", "rows"  # ids in the document
UNSTATED = "not stated"  # what the format requires and nobody has stated
TYPES = {"number": "sc:Float", "boolean": "sc:Boolean", "date": "sc:DateTime"}
ANSWERED = {  # question -> property, most of the vocabulary for responsible AI
    "intended_use": "rai:dataUseCases",
    "excluded_uses": "rai:dataLimitations",
    "groups": "rai:dataBiases",
    "collection": "rai:dataCollection",
    "data_maintenance": "rai:dataReleaseMaintenancePlan",
    "risk": "rai:dataSocialImpact",
    "data_rights": "usageInfo",
}


def croissant_metadata(inputs: DocumentInputs) -> JsonObject:
    """Return the JSON-LD document: the data set, its file with SHA-256, its columns, and what people have answered.

    Columns have a source only where the data are one file: the others cannot be extracted from the document.
    """
    data = inputs.data
    name = data.name.rpartition(".")[0] or data.name
    document: dict[str, Json] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": f"{data.rows} rows and {len(data.columns)} columns, as run {inputs.run.id} has read them.",
        "license": data.licence or UNSTATED,
        "url": data.source,
        "creator": {"@type": "sc:Organization", "name": data.owner or UNSTATED},
        "datePublished": inputs.run.record.started[:10],
        "version": f"1.0.0+{data.digest[:12]}" if data.digest else "1.0.0",
        "distribution": _distribution(inputs) if data.digest else [],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": RECORDS,
                "name": RECORDS,
                "field": [_field(column, f"{RECORDS}/{number}") for number, column in enumerate(data.columns)],
            }
        ]
        if data.digest
        else [],
    }
    for question, key in ANSWERED.items():
        if text := inputs.answer(question):
            document[key] = text
    if personal := [f"{column.name}: {column.personal}" for column in data.columns if column.personal]:
        document["rai:personalSensitiveInformation"] = personal
    return document


def _distribution(inputs: DocumentInputs) -> list[JsonObject]:
    data = inputs.data
    return [
        {
            "@type": "cr:FileObject",
            "@id": FILE,
            "name": data.name,
            "contentUrl": data.source,
            "contentSize": f"{data.size} B",
            "encodingFormat": data.media_type or "application/octet-stream",
            "sha256": data.digest,
        }
    ]


def _field(column: DataColumn, identifier: str) -> JsonObject:
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": column.name,
        "description": f"{column.kind}, {column.role}" if column.role else column.kind,
        "dataType": "sc:Integer" if column.integer else TYPES.get(column.kind, "sc:Text"),
        "source": {"fileObject": {"@id": FILE}, "extract": {"column": column.name}},
    }


CONTEXT: dict[str, Json] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}" for name in ("column", "extract", "field", "fileObject", "fileProperty", "fileSet", "format")
    },
    **{name: f"cr:{name}" for name in ("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path")},
    **{name: f"cr:{name}" for name in ("recordSet", "references", "regex", "repeated", "replace", "separator")},
    **{
        name: f"cr:{name}"
        for name in ("source", "subField", "transform", "citeAs", "samplingRate", "equivalentProperty")
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
